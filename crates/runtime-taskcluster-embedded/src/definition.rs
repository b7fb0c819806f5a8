//! Task definitions: defaults, checks and the format of the queue.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::RequestError;
use crate::schema::is_identifier;
use crate::slugid::{is_slugid, slugid};
use crate::time::{self, as_millis, distance, millis};

/// The priority of a task. The highest sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Priority {
    Highest,
    VeryHigh,
    High,
    Medium,
    Low,
    VeryLow,
    Lowest,
}

impl Priority {
    pub(crate) const NAMES: &'static [&'static str] = &[
        "highest",
        "very-high",
        "high",
        "medium",
        "low",
        "very-low",
        "lowest",
    ];

    /// Returns the name in requests and responses.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Returns the names of this priority and all higher ones.
    pub(crate) fn and_above(self) -> &'static [&'static str] {
        &Self::NAMES[..=self as usize]
    }
}

/// The state that dependencies must reach before a task is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Requires {
    AllCompleted,
    AllResolved,
}

/// The definition of a task. The fields have the order of real responses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Definition {
    pub(crate) provisioner_id: String,
    pub(crate) worker_type: String,
    pub(crate) task_queue_id: String,
    pub(crate) scheduler_id: String,
    pub(crate) project_id: String,
    pub(crate) task_group_id: String,
    pub(crate) dependencies: Vec<String>,
    pub(crate) requires: Requires,
    pub(crate) routes: Vec<String>,
    pub(crate) priority: Priority,
    pub(crate) retries: u32,
    #[serde(serialize_with = "as_millis")]
    pub(crate) created: Timestamp,
    #[serde(serialize_with = "as_millis")]
    pub(crate) deadline: Timestamp,
    #[serde(serialize_with = "as_millis")]
    pub(crate) expires: Timestamp,
    pub(crate) scopes: Vec<String>,
    pub(crate) payload: Value,
    pub(crate) metadata: Value,
    pub(crate) tags: Value,
    pub(crate) extra: Value,
}

/// The largest difference between `created` and the current time.
const MAX_CREATED_DRIFT: Duration = Duration::from_secs(15 * 60);
/// The latest deadline, from now.
const MAX_DEADLINE: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// The default of `expires`, from the deadline.
const DEFAULT_EXPIRY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Definition {
    /// Creates a definition from a payload that matches the schema of `createTask`.
    pub(crate) fn new(task_id: &str, mut payload: Value) -> Result<Self, RequestError> {
        let Some(fields) = payload.as_object_mut() else {
            return Err(RequestError::input("a task must be an object"));
        };
        complete_queue_id(fields)?;
        // By default a task is in the group with its own id.
        let group = fields.entry("taskGroupId").or_insert(Value::Null);
        if group.is_null() {
            *group = json!(task_id);
        }
        let deadline = fields
            .get("deadline")
            .and_then(Value::as_str)
            .and_then(time::parse);
        if let Some(deadline) = deadline {
            let expires = millis(time::after(deadline, DEFAULT_EXPIRY));
            fields.entry("expires").or_insert_with(|| json!(expires));
        }
        let mut definition: Self = serde_json::from_value(payload)
            .map_err(|error| RequestError::input(error.to_string()))?;
        // The queue stores milliseconds. Two definitions are compared after that.
        for timestamp in [
            &mut definition.created,
            &mut definition.deadline,
            &mut definition.expires,
        ] {
            *timestamp = time::truncated(*timestamp);
        }
        Ok(definition)
    }

    /// Checks the order of `created`, `deadline` and `expires`.
    ///
    /// `created` may also be close to the system time instead of the time of this queue, so that
    /// clients work although a test has not advanced their clock.
    pub(crate) fn check_times(&self, now: Timestamp) -> Result<(), RequestError> {
        let is_recent = [now, Timestamp::now()]
            .into_iter()
            .any(|clock| distance(clock, self.created) <= MAX_CREATED_DRIFT);
        let problem = if !is_recent && self.created > now {
            "`created` cannot be in the future (max 15min drift)"
        } else if !is_recent {
            "`created` cannot be in the past (max 15min drift)"
        } else if self.deadline < self.created {
            "`deadline` cannot be past `created`"
        } else if self.deadline < now {
            "`deadline` cannot be in the past"
        } else if self.deadline > time::after(now, MAX_DEADLINE) {
            "`deadline` cannot be more than 5 days into the future"
        } else if self.expires < self.deadline {
            "`expires` cannot be before `deadline`"
        } else {
            return Ok(());
        };
        Err(RequestError::input(problem))
    }
}

/// Derives `taskQueueId` from `provisionerId` and `workerType`, or vice versa.
fn complete_queue_id(fields: &mut Map<String, Value>) -> Result<(), RequestError> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let queue = match (
        text("taskQueueId"),
        text("provisionerId"),
        text("workerType"),
    ) {
        (Some(queue), ..) => queue,
        (None, Some(provisioner), Some(worker_type)) => format!("{provisioner}/{worker_type}"),
        _ => {
            return Err(RequestError::input(
                "at least a provisionerId and a workerType or a taskQueueId must be provided",
            ));
        }
    };
    let Some((provisioner, worker_type)) = queue.split_once('/').filter(|_| is_queue_id(&queue))
    else {
        return Err(RequestError::input(format!(
            "`{queue}` is not a valid taskQueueId"
        )));
    };
    for (name, part) in [("provisionerId", provisioner), ("workerType", worker_type)] {
        if text(name).is_some_and(|given| given != part) {
            return Err(RequestError::input(format!(
                "`{name}` does not match taskQueueId `{queue}`"
            )));
        }
    }
    // Responses contain all three properties, even if the client sent one.
    let parts = [
        ("provisionerId", provisioner),
        ("workerType", worker_type),
        ("taskQueueId", &*queue),
    ];
    for (name, value) in parts {
        fields.insert(name.to_owned(), json!(value));
    }
    Ok(())
}

/// Returns whether a text has the form `<provisionerId>/<workerType>`.
pub(crate) fn is_queue_id(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(provisioner, worker_type)| {
            is_identifier(provisioner, 38) && is_identifier(worker_type, 38)
        })
}

/// Adds the properties that tests leave out, and returns the id and the payload of `createTask`.
pub(crate) fn with_defaults(mut task: Value, now: Timestamp) -> (String, Value) {
    let mut task_id = slugid();
    if let Some(fields) = task.as_object_mut() {
        if let Some(Value::String(given)) = fields.remove("taskId") {
            task_id = given;
        }
        let deadline = time::after(now, Duration::from_secs(60 * 60));
        let defaults = [
            ("created", json!(millis(now))),
            ("deadline", json!(millis(deadline))),
            ("payload", json!({})),
            ("metadata", json!({})),
        ];
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
        // `provisionerId` is the older way to name the queue: then there is no default.
        if !fields.contains_key("provisionerId") {
            fields
                .entry("taskQueueId")
                .or_insert_with(|| json!("embedded/worker"));
        }
        add_default_metadata(&task_id, fields.get_mut("metadata"));
    }
    (task_id, task)
}

fn add_default_metadata(task_id: &str, metadata: Option<&mut Value>) {
    let Some(metadata) = metadata.and_then(Value::as_object_mut) else {
        return;
    };
    let defaults = [
        ("name", task_id),
        ("description", "A task of the embedded Taskcluster."),
        ("owner", "nobody@example.com"),
        ("source", "https://example.com/"),
    ];
    for (name, value) in defaults {
        metadata.entry(name).or_insert_with(|| json!(value));
    }
}

/// Checks the syntax of a task id.
pub(crate) fn check_task_id(task_id: &str) -> Result<(), RequestError> {
    if is_slugid(task_id) {
        Ok(())
    } else {
        Err(RequestError::invalid_param("taskId", task_id))
    }
}
