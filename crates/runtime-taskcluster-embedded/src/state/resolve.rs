//! The end of runs and tasks.

use jiff::Timestamp;
use runtime_core::queue::TaskState;

use super::State;
use super::task::{Run, Task, TaskSnapshot};
use super::timers::Timer;
use crate::error::RequestError;

/// The way in which a run is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Completed,
    Failed,
    /// With the reason, from the worker or from the queue.
    Exception(&'static str),
}

impl Resolution {
    fn state(self) -> TaskState {
        match self {
            Self::Completed => TaskState::Completed,
            Self::Failed => TaskState::Failed,
            Self::Exception(_) => TaskState::Exception,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Exception(reason) => reason,
        }
    }

    /// Returns `reasonCreated` of the next run if the queue retries after this resolution.
    fn retry_reason(self) -> Option<&'static str> {
        match self {
            Self::Exception("worker-shutdown" | "claim-expired") => Some("retry"),
            Self::Exception("intermittent-task") => Some("task-retry"),
            _ => None,
        }
    }

    fn conflict(self, task_id: &str, run_id: u32) -> RequestError {
        RequestError::conflict(match self {
            Self::Exception(_) => {
                format!("Run {run_id} on task `{task_id}` is resolved or not running.")
            }
            _ => format!(
                "Run {run_id} of task `{task_id}` is not running or {}.",
                self.reason()
            ),
        })
    }
}

impl State {
    /// Resolves a run as its worker reports.
    ///
    /// The same report may be repeated, since a worker that loses the response retries. Any other
    /// report for a resolved run is a conflict.
    pub(crate) fn resolve_run(
        &mut self,
        task_id: &str,
        run_id: u32,
        resolution: Resolution,
        now: Timestamp,
    ) -> Result<TaskSnapshot, RequestError> {
        let task = self.task(task_id)?;
        let run = task
            .run(run_id)
            .ok_or_else(|| unknown_run(task_id, run_id))?;
        let is_repeated = run.status.state == resolution.state()
            && run.status.reason_resolved == Some(resolution.reason());
        if is_repeated {
            return Ok(task.status());
        }
        if !task.is_last(run_id) || run.status.state != TaskState::Running {
            return Err(resolution.conflict(task_id, run_id));
        }
        self.end_run(task_id, run_id, resolution, now);
        self.task(task_id).map(|task| task.status())
    }

    /// Ends a run, and then retries or resolves the task.
    fn end_run(&mut self, task_id: &str, run_id: u32, resolution: Resolution, now: Timestamp) {
        let Ok(Some(task)) = self.tasks.get_mut(task_id) else {
            return;
        };
        let Some(run) = task.runs.get_mut(run_id as usize) else {
            return;
        };
        let was_running = run.status.state == TaskState::Running;
        run.status.state = resolution.state();
        run.status.reason_resolved = Some(resolution.reason());
        run.status.resolved = Some(now);
        self.timers.cancel(run.claim_timer.take());
        // A pending run is in the queue, and a running one is in its count.
        if let Some(queue) = self.queues.get_mut(&task.definition.task_queue_id) {
            queue.claimed -= usize::from(was_running);
            if let Some(key) = run.pending.take() {
                queue.remove(&key);
            }
        }
        // A task with a retry is not resolved, so its dependents stay blocked.
        match resolution.retry_reason() {
            Some(reason) if task.retries_left > 0 => {
                task.retries_left -= 1;
                self.add_run(task_id, reason, now);
            }
            _ => self.on_task_resolved(task_id, now),
        }
    }

    /// Indexes a completed task and schedules the dependents that it no longer blocks.
    fn on_task_resolved(&mut self, task_id: &str, now: Timestamp) {
        let Ok(Some(task)) = self.tasks.get_mut(task_id) else {
            return;
        };
        self.timers.cancel(task.deadline_timer.take());
        let state = task.state();
        if state == TaskState::Completed {
            self.index.add_completed(task_id, &task.definition);
        }
        // A clone: scheduling a dependent changes the state.
        let dependents = self.dependents.get(task_id).cloned();
        for dependent in dependents.unwrap_or_default() {
            self.unblock(&dependent, task_id, &state, now);
        }
    }

    fn unblock(&mut self, dependent: &str, task_id: &str, state: &TaskState, now: Timestamp) {
        let is_blocked = |task: &Task| task.blocked_by.contains(task_id);
        // A dependent that cannot be read is resolved, so it needs no run.
        if !matches!(self.tasks.get(dependent), Ok(Some(task)) if is_blocked(&task)) {
            return;
        }
        let Ok(Some(task)) = self.tasks.get_mut(dependent) else {
            return;
        };
        // A task that `scheduleTask` scheduled already has a run.
        if task.definition.requires.is_satisfied_by(state)
            && task.blocked_by.remove(task_id)
            && task.blocked_by.is_empty()
            && task.runs.is_empty()
        {
            self.add_run(dependent, "scheduled", now);
        }
    }

    /// Resolves an unresolved task with an exception.
    pub(super) fn resolve_task(&mut self, task_id: &str, reason: &'static str, now: Timestamp) {
        if self
            .tasks
            .state(task_id)
            .is_none_or(|state| state.is_resolved())
        {
            return;
        }
        let Ok(Some(task)) = self.tasks.get_mut(task_id) else {
            return;
        };
        // The state of a task is that of its last run. A task that was never scheduled gets a run
        // for that purpose, as in the real queue.
        if task.runs.is_empty() {
            task.runs.push(Run::new(0, "exception", now));
        }
        let last = task.runs.len() as u32 - 1;
        self.end_run(task_id, last, Resolution::Exception(reason), now);
    }

    /// Processes all timers that are due.
    pub(crate) fn run_due_timers(&mut self, now: Timestamp) {
        // Timers of runs and tasks that ended are cancelled, so each one here is still valid.
        // Processing one may add or cancel others: take them one by one.
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::ClaimExpired { task_id, run_id } => {
                    self.end_run(
                        &task_id,
                        run_id,
                        Resolution::Exception("claim-expired"),
                        now,
                    );
                }
                Timer::DeadlinePassed { task_id } => {
                    self.resolve_task(&task_id, "deadline-exceeded", now);
                }
            }
        }
    }
}

/// Creates the error for an unknown run.
pub(super) fn unknown_run(task_id: &str, run_id: u32) -> RequestError {
    RequestError::not_found(format!("Run {run_id} not found on task `{task_id}`."))
}
