//! Tasks, their runs, and what the queue tells about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::artifact::Artifact;
use super::pending::PendingKey;
use super::timers::TimerKey;
use crate::definition::Definition;
use crate::time::{as_millis, as_optional_millis};

/// Where a task or a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for other tasks.
    Unscheduled,
    /// It waits for a worker.
    Pending,
    /// A worker has claimed it.
    Running,
    /// It ended well.
    Completed,
    /// It did its work, and the verdict is no.
    Failed,
    /// It ended without a verdict.
    Exception,
}

impl TaskState {
    /// Tells whether this is an end.
    #[must_use]
    pub fn is_resolved(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Exception)
    }
}

/// What the queue tells about a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskStatus {
    /// The task.
    pub task_id: String,
    /// First half of `task_queue_id`.
    pub provisioner_id: String,
    /// Second half of `task_queue_id`.
    pub worker_type: String,
    /// The queue whose workers may claim the task.
    pub task_queue_id: String,
    /// Who schedules the task.
    pub scheduler_id: String,
    /// The project of the task.
    pub project_id: String,
    /// The group of the task.
    pub task_group_id: String,
    /// The urgency of the task.
    pub priority: &'static str,
    /// When the task must be resolved.
    #[serde(serialize_with = "as_millis")]
    pub deadline: Timestamp,
    /// When the task is forgotten.
    #[serde(serialize_with = "as_millis")]
    pub expires: Timestamp,
    /// How often the queue still retries.
    pub retries_left: u32,
    /// Where the task stands: the state of the last run.
    pub state: TaskState,
    /// Every attempt.
    pub runs: Vec<RunStatus>,
}

impl TaskStatus {
    /// Why the last run ended, if it has ended.
    #[must_use]
    pub fn reason_resolved(&self) -> Option<&'static str> {
        self.runs.last()?.reason_resolved
    }
}

/// What the queue tells about one attempt to run a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunStatus {
    /// The number of the run, from 0.
    pub run_id: u32,
    /// Where the run stands.
    pub state: TaskState,
    /// Why there is this run.
    pub reason_created: &'static str,
    /// Why the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_resolved: Option<&'static str>,
    /// The group of the worker that claimed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_group: Option<String>,
    /// The worker that claimed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Until when the worker has it.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_millis"
    )]
    pub taken_until: Option<Timestamp>,
    /// When it became pending.
    #[serde(serialize_with = "as_millis")]
    pub scheduled: Timestamp,
    /// When it was claimed.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_millis"
    )]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_optional_millis"
    )]
    pub resolved: Option<Timestamp>,
}

/// A run, and where it is noted elsewhere.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: RunStatus,
    pub(crate) pending: Option<PendingKey>,
    pub(crate) claim_timer: Option<TimerKey>,
}

impl Run {
    pub(crate) fn new(run_id: u32, reason_created: &'static str, now: Timestamp) -> Self {
        let status = RunStatus {
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

    /// Tells whether this worker has the run.
    pub(crate) fn is_claimed_by(&self, worker_group: &str, worker_id: &str) -> bool {
        self.status.worker_group.as_deref() == Some(worker_group)
            && self.status.worker_id.as_deref() == Some(worker_id)
    }
}

/// A task and everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: Arc<str>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) retries_left: u32,
    pub(crate) runs: Vec<Run>,
    pub(crate) deadline_timer: Option<TimerKey>,
    /// The dependencies that still block it.
    pub(crate) waits_for: BTreeSet<String>,
    /// The tasks that depend on it.
    pub(crate) dependents: Vec<Arc<str>>,
    pub(crate) artifacts: BTreeMap<(u32, String), Artifact>,
}

impl Task {
    pub(crate) fn state(&self) -> TaskState {
        self.runs
            .last()
            .map_or(TaskState::Unscheduled, |run| run.status.state)
    }

    pub(crate) fn run(&self, run_id: u32) -> Option<&Run> {
        self.runs.get(run_id as usize)
    }

    /// Tells whether `run_id` is the last run.
    pub(crate) fn is_last(&self, run_id: u32) -> bool {
        self.runs.len() == run_id as usize + 1
    }

    pub(crate) fn status(&self) -> TaskStatus {
        let task = &*self.definition;
        TaskStatus {
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
