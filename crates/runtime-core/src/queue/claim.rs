//! Claims and reclaims of runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::model::{TaskDefinition, TaskMetadata, TaskStatus};
use crate::clock::deserialize_timestamp;
use crate::clock::saturating::SaturatedTimestamp;
use crate::credentials::Credentials;
use crate::error::MalformedPayloadError;

/// The body of `claimWork`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimWorkRequest {
    /// The worker's group.
    pub worker_group: String,
    /// The worker's id.
    pub worker_id: String,
    /// The maximum number of tasks, 1 to 32.
    pub tasks: u32,
}

/// A claimed run.
///
/// A definition that cannot be read does not prevent reading the claim: the run has to be resolved.
///
/// ```
/// # use runtime_core::queue::TaskClaim;
/// let claim = r#"{
///     "status": { "taskId": "fN1SbArXTPSVFNUvaOlinQ", "state": "running", "retriesLeft": 5 },
///     "runId": 0,
///     "takenUntil": "2026-11-24T17:53:28.491+00:00",
///     "task": { "deadline": "2026-11-24T18:33:27.000Z", "payload": NESTED },
///     "credentials": { "clientId": "c", "accessToken": "t" }
/// }"#;
/// let nested = "[".repeat(200) + &"]".repeat(200);
/// let claim: TaskClaim = serde_json::from_str(&claim.replace("NESTED", &nested))?;
/// let error = claim.definition_error.expect("the payload is nested too deeply");
/// assert!(error.messages()[0].starts_with("`payload` of the task definition cannot be read"));
/// assert_eq!(claim.task.deadline, "2026-11-24T18:33:27Z".parse().expect("a time"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskClaim {
    /// The task's status at the time of the claim.
    pub status: TaskStatus,
    /// The index of the claimed run.
    pub run_id: u32,
    /// The time at which the claim expires unless it is reclaimed.
    pub taken_until: Timestamp,
    /// The definition. With a `definition_error`, the unreadable fields are empty, and an unreadable deadline is
    /// [`Timestamp::MAX`].
    pub task: TaskDefinition,
    /// The reasons why fields of the definition cannot be read, such as a payload that is nested more than 126
    /// levels deep. The run must be resolved as `malformed-payload`.
    pub definition_error: Option<MalformedPayloadError>,
    /// The temporary credentials of the run; they expire with the claim.
    pub credentials: Credentials,
}

impl TaskClaim {
    /// Returns the time of the claim by the clock of the queue, if the status shows it.
    ///
    /// Durations from this time to `taken_until` and to the deadline are right even if the local clock is wrong.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        let mut runs = self.status.runs.iter();
        runs.find(|run| run.run_id == self.run_id)?.started
    }
}

impl<'de> Deserialize<'de> for TaskClaim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let claim = UnreadClaim::deserialize(deserializer)?;
        let (task, definition_error) = read_definition(&claim.task);
        Ok(Self {
            status: claim.status,
            run_id: claim.run_id,
            taken_until: claim.taken_until,
            task,
            definition_error,
            credentials: claim.credentials,
        })
    }
}

/// The response to `reclaimTask`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reclaim {
    /// The status of the task.
    pub status: TaskStatus,
    /// The new expiry of the claim.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub taken_until: Timestamp,
    /// The new temporary credentials of the run.
    pub credentials: Credentials,
}

/// A claim whose definition, the part that the author of the task writes, is still text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UnreadClaim {
    status: TaskStatus,
    run_id: u32,
    #[serde(deserialize_with = "deserialize_timestamp")]
    taken_until: Timestamp,
    task: Box<RawValue>,
    credentials: Credentials,
}

fn read_definition(json: &RawValue) -> (TaskDefinition, Option<MalformedPayloadError>) {
    match serde_json::from_str(json.get()) {
        Ok(definition) => (definition, None),
        Err(error) => {
            let (definition, problems) = DefinitionFields::read_all(json);
            // Without an unreadable field, a required one is missing.
            let error = MalformedPayloadError::merge(problems).unwrap_or_else(|| {
                MalformedPayloadError::new(format!("the task definition cannot be read: {error}"))
            });
            (definition, Some(error))
        }
    }
}

/// The fields of a definition, to be read one by one.
struct DefinitionFields<'a> {
    fields: BTreeMap<String, &'a RawValue>,
    problems: Vec<MalformedPayloadError>,
}

impl<'a> DefinitionFields<'a> {
    /// Reads every field that can be read. Returns a definition and a message about each other field.
    fn read_all(json: &'a RawValue) -> (TaskDefinition, Vec<MalformedPayloadError>) {
        let mut fields = Self {
            fields: serde_json::from_str(json.get()).unwrap_or_default(),
            problems: Vec::new(),
        };
        let time = |time: Option<SaturatedTimestamp>| time.map(|SaturatedTimestamp(time)| time);
        let definition = TaskDefinition {
            task_queue_id: fields.read("taskQueueId").unwrap_or_default(),
            task_group_id: fields.read("taskGroupId"),
            scheduler_id: fields.read("schedulerId"),
            project_id: fields.read("projectId"),
            dependencies: fields.read("dependencies").unwrap_or_default(),
            routes: fields.read("routes").unwrap_or_default(),
            priority: fields.read("priority"),
            retries: fields.read("retries"),
            created: time(fields.read("created")).unwrap_or_default(),
            deadline: time(fields.read("deadline")).unwrap_or(Timestamp::MAX),
            expires: time(fields.read("expires")),
            scopes: fields.read("scopes").unwrap_or_default(),
            payload: fields.read("payload").unwrap_or_default(),
            metadata: fields.read("metadata").unwrap_or_else(|| TaskMetadata {
                name: String::new(),
                description: String::new(),
                owner: String::new(),
                source: String::new(),
            }),
            tags: fields.read("tags").unwrap_or_default(),
            extra: fields.read("extra").unwrap_or_default(),
        };
        (definition, fields.problems)
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let field = self.fields.get(name)?;
        serde_json::from_str(field.get())
            .map_err(|error| {
                let message = format!("`{name}` of the task definition cannot be read: {error}");
                self.problems.push(MalformedPayloadError::new(message));
            })
            .ok()
    }
}
