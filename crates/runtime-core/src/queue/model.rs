//! Tasks, their status, and claims.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open_enum::open_enum;
use crate::{Credentials, ScopeSet, TaskId};

open_enum! {
    /// The state of a task or of a run.
    TaskState {
        /// Waits for its dependencies.
        Unscheduled = "unscheduled",
        /// Waits for a worker.
        Pending = "pending",
        /// Claimed by a worker.
        Running = "running",
        /// Resolved: yes.
        Completed = "completed",
        /// Resolved: no.
        Failed = "failed",
        /// Resolved without a verdict.
        Exception = "exception",
    }
}

impl TaskState {
    /// Reports whether nothing more will happen.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Exception)
    }
}

open_enum! {
    /// Why a run is in the state that it is in, as read from the queue.
    ResolvedReason {
        /// A worker reported success.
        Completed = "completed",
        /// A worker reported failure.
        Failed = "failed",
        /// The deadline passed.
        DeadlineExceeded = "deadline-exceeded",
        /// Somebody cancelled the task.
        Canceled = "canceled",
        /// The worker did not reclaim in time.
        ClaimExpired = "claim-expired",
        /// The worker had to stop.
        WorkerShutdown = "worker-shutdown",
        /// The task asked for something that cannot be.
        MalformedPayload = "malformed-payload",
        /// Something outside was missing.
        ResourceUnavailable = "resource-unavailable",
        /// The worker failed.
        InternalError = "internal-error",
        /// The task declared its failure a matter of luck.
        IntermittentTask = "intermittent-task",
    }
}

open_enum! {
    /// How urgent a task is.
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
        /// After all others; the default.
        Lowest = "lowest",
    }
}

/// What a task is, as its author wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDefinition {
    /// The queue that it waits in, `<provisionerId>/<workerType>`.
    pub task_queue_id: String,
    /// The group that it belongs to; the queue sets it to the task's own id when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_group_id: Option<TaskId>,
    /// Who schedules the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_id: Option<String>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Tasks that must be resolved before it runs.
    #[serde(default)]
    pub dependencies: Vec<TaskId>,
    /// Routes for messages and the index.
    #[serde(default)]
    pub routes: Vec<String>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How often it is run again after an infrastructure failure, 0 to 49.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// When it was made.
    pub created: Timestamp,
    /// When it must be resolved.
    pub deadline: Timestamp,
    /// When it is forgotten; no artifact outlives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What it may do.
    #[serde(default)]
    pub scopes: ScopeSet,
    /// What the worker is to do: engine and plugins say what may stand here.
    pub payload: Value,
    /// For people.
    pub metadata: TaskMetadata,
    /// Labels for searching.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Anything that the worker need not understand.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub extra: Value,
}

/// What people want to know of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// A short name.
    pub name: String,
    /// What it is for, in Markdown.
    pub description: String,
    /// An e-mail address.
    pub owner: String,
    /// A link to where the definition came from.
    pub source: String,
}

/// The status of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// The task.
    pub task_id: TaskId,
    /// The state of the task, which is that of its last run.
    pub state: TaskState,
    /// How many more times the queue runs it after an infrastructure failure.
    pub retries_left: u32,
    /// Its runs, the first one first.
    #[serde(default)]
    pub runs: Vec<RunStatus>,
}

/// The status of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The number of the run.
    pub run_id: u32,
    /// Its state.
    pub state: TaskState,
    /// Why it was made: `scheduled`, `retry`, `task-retry`, `rerun`, `exception` or a text to come.
    pub reason_created: String,
    /// Why it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_resolved: Option<ResolvedReason>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_group: Option<String>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// When the claim ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_until: Option<Timestamp>,
}

/// Who claims, and how many tasks at most (1 to 32).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimWorkRequest {
    /// The worker's group.
    pub worker_group: String,
    /// The worker's id.
    pub worker_id: String,
    /// How many tasks at most.
    pub tasks: u32,
}

/// A task that the worker now holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskClaim {
    /// Its status at the moment of the claim.
    pub status: TaskStatus,
    /// The run that was claimed.
    pub run_id: u32,
    /// When the claim ends unless it is extended.
    pub taken_until: Timestamp,
    /// The definition.
    pub task: TaskDefinition,
    /// What the worker may do for this run; they end with the claim.
    pub credentials: Credentials,
}

/// A claim that was extended.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reclaim {
    /// The status of the task.
    pub status: TaskStatus,
    /// When the claim ends now.
    pub taken_until: Timestamp,
    /// New credentials for the run.
    pub credentials: Credentials,
}
