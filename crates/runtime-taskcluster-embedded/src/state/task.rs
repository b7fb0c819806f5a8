//! Tasks, runs and their status.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::queue::TaskState;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::pending::PendingKey;
use super::timers::TimerKey;
use crate::definition::{Definition, Requires};
use crate::time::{as_millis, as_optional_millis};

impl Requires {
    /// Returns whether a dependency in this state no longer blocks its dependents.
    pub(super) fn is_satisfied_by(self, dependency: &TaskState) -> bool {
        match self {
            Self::AllCompleted => *dependency == TaskState::Completed,
            Self::AllResolved => dependency.is_resolved(),
        }
    }
}

/// The status of a task at a point in time, as `queue.status` returns it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskSnapshot {
    /// The id of the task.
    pub task_id: String,
    /// The first half of `task_queue_id`.
    pub provisioner_id: String,
    /// The second half of `task_queue_id`.
    pub worker_type: String,
    /// The queue whose workers may claim the task.
    pub task_queue_id: String,
    /// The scheduler that created the task.
    pub scheduler_id: String,
    /// The project of the task.
    pub project_id: String,
    /// The group of the task.
    pub task_group_id: String,
    /// The priority of the task, for example `lowest`.
    pub priority: &'static str,
    /// The time at which an unresolved task is resolved as `deadline-exceeded`.
    #[serde(serialize_with = "as_millis")]
    pub deadline: Timestamp,
    /// The time until which a real queue would keep the task.
    #[serde(serialize_with = "as_millis")]
    pub expires: Timestamp,
    /// The remaining number of automatic retries.
    pub retries_left: u32,
    /// The state of the last run.
    pub state: TaskState,
    /// All runs, oldest first.
    pub runs: Vec<RunSnapshot>,
}

impl TaskSnapshot {
    /// Returns the `reasonResolved` of the last run.
    #[must_use]
    pub fn reason_resolved(&self) -> Option<&'static str> {
        self.runs.last()?.reason_resolved
    }

    /// Returns the state, with the reason for an exception: `pending`, `completed`, or `exception/canceled`.
    #[must_use]
    pub fn state_and_reason(&self) -> String {
        let state = self.state.as_str();
        match self.reason_resolved() {
            Some(reason) if self.state == TaskState::Exception => format!("{state}/{reason}"),
            _ => state.to_owned(),
        }
    }
}

/// Hides from serde that a text is a reference: it would borrow it from its input.
type StaticText = &'static str;

/// The status of a run at a point in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunSnapshot {
    /// The number of the run, starting at 0.
    pub run_id: u32,
    /// The state of the run.
    pub state: TaskState,
    /// The reason for the run, for example `scheduled` or `retry`.
    #[serde(deserialize_with = "reason")]
    pub reason_created: StaticText,
    /// The reason for the resolution, for example `completed` or `claim-expired`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_reason"
    )]
    pub reason_resolved: Option<StaticText>,
    /// The group of the worker that claimed the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_group: Option<String>,
    /// The id of the worker that claimed the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// The expiry of the claim.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_millis"
    )]
    pub taken_until: Option<Timestamp>,
    /// The time at which the run became pending.
    #[serde(serialize_with = "as_millis")]
    pub scheduled: Timestamp,
    /// The time of the claim.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_millis"
    )]
    pub started: Option<Timestamp>,
    /// The time of the resolution.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_millis"
    )]
    pub resolved: Option<Timestamp>,
}

/// The reasons that workers may give for an exception.
pub(crate) const EXCEPTION_REASONS: &[&str] = &[
    "worker-shutdown",
    "malformed-payload",
    "resource-unavailable",
    "internal-error",
    "intermittent-task",
];

/// The other reasons for the creation and the resolution of runs.
const REASONS: &[&str] = &[
    "scheduled",
    "retry",
    "task-retry",
    "rerun",
    "exception",
    "completed",
    "failed",
    "canceled",
    "deadline-exceeded",
    "claim-expired",
];

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut known = REASONS.iter().chain(EXCEPTION_REASONS);
    let reason = known.find(|reason| **reason == text);
    reason
        .copied()
        .ok_or_else(|| D::Error::custom(format!("unknown reason `{text}`")))
}

fn optional_reason<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'static str>, D::Error> {
    reason(deserializer).map(Some)
}

/// A run, with its keys in the pending queue and the timers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) status: RunSnapshot,
    /// `Some` while the run is pending.
    pub(super) pending: Option<PendingKey>,
    /// `Some` while the run is running.
    #[serde(skip)]
    pub(super) claim_timer: Option<TimerKey>,
}

impl Run {
    pub(super) fn new(run_id: u32, reason_created: &'static str, now: Timestamp) -> Self {
        let status = RunSnapshot {
            run_id,
            state: TaskState::Pending,
            reason_created,
            reason_resolved: None,
            worker_group: None,
            worker_id: None,
            taken_until: None,
            scheduled: now,
            started: None,
            resolved: None,
        };
        Self {
            status,
            pending: None,
            claim_timer: None,
        }
    }

    /// Returns whether this worker has claimed the run.
    pub(super) fn is_claimed_by(&self, worker_group: &str, worker_id: &str) -> bool {
        self.status.worker_group.as_deref() == Some(worker_group)
            && self.status.worker_id.as_deref() == Some(worker_id)
    }
}

/// A task with its runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: Arc<str>,
    /// The rank in the order of creation.
    pub(super) number: u64,
    pub(crate) definition: Arc<Definition>,
    pub(super) retries_left: u32,
    pub(crate) runs: Vec<Run>,
    /// `Some` until the task is resolved.
    #[serde(skip)]
    pub(super) deadline_timer: Option<TimerKey>,
    /// The dependencies that still block the task.
    pub(super) blocked_by: BTreeSet<String>,
}

impl Task {
    pub(crate) fn state(&self) -> TaskState {
        self.runs
            .last()
            .map_or(TaskState::Unscheduled, |run| run.status.state.clone())
    }

    pub(crate) fn run(&self, run_id: u32) -> Option<&Run> {
        self.runs.get(run_id as usize)
    }

    /// Returns whether `run_id` is the last run.
    pub(super) fn is_last(&self, run_id: u32) -> bool {
        self.runs.len() == run_id as usize + 1
    }

    pub(crate) fn status(&self) -> TaskSnapshot {
        let task = &*self.definition;
        TaskSnapshot {
            task_id: self.id.as_ref().to_owned(),
            provisioner_id: task.provisioner_id.clone(),
            worker_type: task.worker_type.clone(),
            task_queue_id: task.task_queue_id.clone(),
            scheduler_id: task.scheduler_id.clone(),
            project_id: task.project_id.clone(),
            task_group_id: task.task_group_id.clone(),
            priority: task.priority.name(),
            deadline: task.deadline,
            expires: task.expires,
            retries_left: self.retries_left,
            state: self.state(),
            runs: self.runs.iter().map(|run| run.status.clone()).collect(),
        }
    }
}
