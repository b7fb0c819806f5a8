//! Task definitions: checked, completed and in the order in which the queue writes them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::RequestError;
use super::slug::is_slug;
use super::time::{self, as_millis, distance, millis};

/// The urgency of a task; the most urgent sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Priority {
    Highest,
    VeryHigh,
    High,
    Medium,
    Low,
    VeryLow,
    Lowest,
}

impl Priority {
    pub(super) const NAMES: &'static [&'static str] = &[
        "highest",
        "very-high",
        "high",
        "medium",
        "low",
        "very-low",
        "lowest",
    ];

    /// Its name in requests and answers.
    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The priorities from the highest down to this one.
    pub(super) fn and_above(self) -> &'static [&'static str] {
        &Self::NAMES[..=self as usize]
    }
}

/// When a task with dependencies is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Requires {
    AllCompleted,
    AllResolved,
}

/// A task as it was created. The fields are in the order of the real answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Definition {
    pub(super) provisioner_id: String,
    pub(super) worker_type: String,
    pub(super) task_queue_id: String,
    pub(super) scheduler_id: String,
    pub(super) project_id: String,
    pub(super) task_group_id: String,
    pub(super) dependencies: Vec<String>,
    pub(super) requires: Requires,
    pub(super) routes: Vec<String>,
    pub(super) priority: Priority,
    pub(super) retries: u32,
    #[serde(serialize_with = "as_millis")]
    pub(super) created: Timestamp,
    #[serde(serialize_with = "as_millis")]
    pub(super) deadline: Timestamp,
    #[serde(serialize_with = "as_millis")]
    pub(super) expires: Timestamp,
    pub(super) scopes: Vec<String>,
    pub(super) payload: Value,
    pub(super) metadata: Value,
    pub(super) tags: Value,
    pub(super) extra: Value,
}

/// How far `created` may be from now.
const DRIFT: Duration = Duration::from_secs(15 * 60);
/// How far the deadline may be ahead.
const LONGEST: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// When a task that does not say so expires.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Definition {
    /// Completes a payload that fits the schema of `createTask`.
    pub(super) fn new(task_id: &str, mut payload: Value) -> Result<Self, RequestError> {
        let Some(fields) = payload.as_object_mut() else {
            return Err(RequestError::input("a task must be an object"));
        };
        complete_queue_id(fields)?;
        let group = fields
            .entry("taskGroupId")
            .or_insert_with(|| json!(task_id));
        if group.is_null() {
            *group = json!(task_id);
        }
        let deadline = fields
            .get("deadline")
            .and_then(Value::as_str)
            .and_then(time::parse);
        if let Some(deadline) = deadline {
            let expires = millis(time::after(deadline, DEFAULT_LIFETIME));
            fields.entry("expires").or_insert_with(|| json!(expires));
        }
        let mut definition: Self = serde_json::from_value(payload)
            .map_err(|error| RequestError::input(error.to_string()))?;
        for instant in [
            &mut definition.created,
            &mut definition.deadline,
            &mut definition.expires,
        ] {
            *instant = time::truncated(*instant);
        }
        Ok(definition)
    }

    /// Refuses instants that make no sense.
    ///
    /// A `created` that is right by the machine's clock passes too, so that clients need not know
    /// that this queue's clock was moved.
    pub(super) fn check_times(&self, now: Timestamp) -> Result<(), RequestError> {
        let near = [now, Timestamp::now()]
            .into_iter()
            .any(|clock| distance(clock, self.created) <= DRIFT);
        let problem = match () {
            () if !near && self.created > now => {
                "`created` cannot be in the future (max 15min drift)"
            }
            () if !near => "`created` cannot be in the past (max 15min drift)",
            () if self.deadline < self.created => "`deadline` cannot be past `created`",
            () if self.deadline < now => "`deadline` cannot be in the past",
            () if self.deadline > time::after(now, LONGEST) => {
                "`deadline` cannot be more than 5 days into the future"
            }
            () if self.expires < self.deadline => "`expires` cannot be before `deadline`",
            () => return Ok(()),
        };
        Err(RequestError::input(problem))
    }
}

/// Derives `taskQueueId` from `provisionerId` and `workerType`, or the other way round.
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
                "`{name}` does not fit taskQueueId `{queue}`"
            )));
        }
    }
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

/// Tells whether a text is `<provisionerId>/<workerType>`.
pub(super) fn is_queue_id(text: &str) -> bool {
    let name = |part: &str| {
        (1..=38).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.split_once('/')
        .is_some_and(|(provisioner, worker_type)| name(provisioner) && name(worker_type))
}

/// Fills in what a hand-written task leaves out, and returns its id and the body of `createTask`.
pub(super) fn complete(mut task: Value, now: Timestamp) -> (String, Value) {
    let mut task_id = super::slug::slug();
    if let Some(fields) = task.as_object_mut() {
        if let Some(Value::String(given)) = fields.remove("taskId") {
            task_id = given;
        }
        let in_an_hour = time::after(now, Duration::from_secs(60 * 60));
        let defaults = [
            ("created", json!(millis(now))),
            ("deadline", json!(millis(in_an_hour))),
            ("payload", json!({})),
            ("metadata", json!({})),
        ];
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
        if !fields.contains_key("provisionerId") {
            fields
                .entry("taskQueueId")
                .or_insert_with(|| json!("embedded/worker"));
        }
        complete_metadata(&task_id, fields.get_mut("metadata"));
    }
    (task_id, task)
}

fn complete_metadata(task_id: &str, metadata: Option<&mut Value>) {
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

/// Refuses an id that is not one.
pub(super) fn check_task_id(task_id: &str) -> Result<(), RequestError> {
    match is_slug(task_id) {
        true => Ok(()),
        false => Err(super::router::bad_argument("taskId", task_id)),
    }
}
