//! Tasks and their status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum::open_enum;
use crate::clock::{deserialize_optional_timestamp, deserialize_timestamp};
use crate::id::TaskId;
use crate::scopes::ScopeSet;

open_enum! {
    /// The state of a task or of a run.
    TaskState {
        /// Waiting for dependencies.
        Unscheduled = "unscheduled",
        /// Waiting for a worker.
        Pending = "pending",
        /// Claimed by a worker.
        Running = "running",
        /// Resolved: success.
        Completed = "completed",
        /// Resolved: failure.
        Failed = "failed",
        /// Resolved without a verdict.
        Exception = "exception",
    }
}

impl TaskState {
    /// Returns whether the state is final.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Exception)
    }
}

open_enum! {
    /// The reason for the resolution of a run, as read from the queue.
    ResolvedReason {
        /// A worker reported success.
        Completed = "completed",
        /// A worker reported failure.
        Failed = "failed",
        /// The deadline passed.
        DeadlineExceeded = "deadline-exceeded",
        /// The task was cancelled.
        Canceled = "canceled",
        /// The worker did not reclaim in time.
        ClaimExpired = "claim-expired",
        /// The worker shut down.
        WorkerShutdown = "worker-shutdown",
        /// The task is invalid.
        MalformedPayload = "malformed-payload",
        /// A resource was unavailable.
        ResourceUnavailable = "resource-unavailable",
        /// The worker failed.
        InternalError = "internal-error",
        /// The task declared the failure intermittent.
        IntermittentTask = "intermittent-task",
    }
}

open_enum! {
    /// The priority of a task.
    Priority {
        /// Before all others.
        Highest = "highest",
        /// Before `high`.
        VeryHigh = "very-high",
        /// Before `medium`.
        High = "high",
        /// Before `low`.
        Medium = "medium",
        /// Before `very-low`.
        Low = "low",
        /// Before `lowest`.
        VeryLow = "very-low",
        /// The default, after all others.
        Lowest = "lowest",
    }
}

/// The definition of a task, as written by its author.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinition {
    /// The task queue, `<provisionerId>/<workerType>`.
    pub task_queue_id: String,
    /// The task group. If it is absent, the queue uses the task's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_group_id: Option<TaskId>,
    /// The scheduler of the task group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_id: Option<String>,
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Tasks that must be resolved before this one is scheduled.
    #[serde(default)]
    pub dependencies: Vec<TaskId>,
    /// Routes of the task's messages; those that start with `index.` add the task to the index.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The number of new runs after infrastructure failures, 0 to 49.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The creation time.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub created: Timestamp,
    /// The time by which the task must be resolved.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub deadline: Timestamp,
    /// The expiry of the task and the latest expiry of its artifacts.
    #[serde(
        default,
        deserialize_with = "deserialize_optional_timestamp",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Timestamp>,
    /// The permissions of the task.
    #[serde(default)]
    pub scopes: ScopeSet,
    /// The instructions for the worker; engine and plugins define the schema.
    pub payload: Value,
    /// Descriptive metadata.
    pub metadata: TaskMetadata,
    /// Labels for searching.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Additional data, not interpreted by workers.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub extra: Value,
}

/// Descriptive metadata of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// A short name.
    pub name: String,
    /// A description in Markdown.
    pub description: String,
    /// The e-mail address of the owner.
    pub owner: String,
    /// A link to the source of the definition.
    pub source: String,
}

/// The status of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// The task.
    pub task_id: TaskId,
    /// The state of the task: that of its last run.
    pub state: TaskState,
    /// The number of runs that the queue may still create after infrastructure failures.
    pub retries_left: u32,
    /// The runs, oldest first.
    #[serde(default)]
    pub runs: Vec<RunStatus>,
}

/// The status of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The index of the run.
    pub run_id: u32,
    /// The state of the run.
    pub state: TaskState,
    /// The reason for its creation: `scheduled`, `retry`, `task-retry`, `rerun`, `exception` or a future one.
    pub reason_created: String,
    /// The reason for its resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_resolved: Option<ResolvedReason>,
    /// The group of the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_group: Option<String>,
    /// The id of the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// The expiry of the claim.
    #[serde(
        default,
        deserialize_with = "deserialize_optional_timestamp",
        skip_serializing_if = "Option::is_none"
    )]
    pub taken_until: Option<Timestamp>,
    /// The time at which the run became pending.
    #[serde(
        default,
        deserialize_with = "deserialize_optional_timestamp",
        skip_serializing_if = "Option::is_none"
    )]
    pub scheduled: Option<Timestamp>,
    /// The time of the claim.
    #[serde(
        default,
        deserialize_with = "deserialize_optional_timestamp",
        skip_serializing_if = "Option::is_none"
    )]
    pub started: Option<Timestamp>,
}
