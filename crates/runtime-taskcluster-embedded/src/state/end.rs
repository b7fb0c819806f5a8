//! How runs and tasks end.

use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use super::life::frees;
use super::task::{Run, Task, TaskState, TaskStatus};
use super::timers::Timer;
use crate::error::RequestError;
use crate::services::index;

/// How a worker says that a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Completed,
    Failed,
    /// With one of the reasons that a worker may give.
    Exception(&'static str),
}

impl Verdict {
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

    /// Why there is another run, if the queue tries again after this.
    fn retry(self) -> Option<&'static str> {
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
            verdict => format!(
                "Run {run_id} of task `{task_id}` is not running or {}.",
                verdict.reason()
            ),
        })
    }
}

impl State {
    /// Ends a run as its worker says, and tries again where that is the rule.
    pub(crate) fn resolve(
        &mut self,
        task_id: &str,
        run_id: u32,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<TaskStatus, RequestError> {
        let task = self.task(task_id)?;
        let run = task
            .run(run_id)
            .ok_or_else(|| unknown_run(task_id, run_id))?;
        let again = run.status.state == verdict.state()
            && run.status.reason_resolved == Some(verdict.reason());
        if again {
            return Ok(task.status());
        }
        if !task.is_last(run_id) || run.status.state != TaskState::Running {
            return Err(verdict.conflict(task_id, run_id));
        }
        self.end_run(task_id, run_id, verdict, now);
        self.task(task_id).map(Task::status)
    }

    /// Ends a run; then the task ends too, or runs again.
    fn end_run(&mut self, task_id: &str, run_id: u32, verdict: Verdict, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else {
            return;
        };
        let Some(run) = task.runs.get_mut(run_id as usize) else {
            return;
        };
        let was_running = run.status.state == TaskState::Running;
        run.status.state = verdict.state();
        run.status.reason_resolved = Some(verdict.reason());
        run.status.resolved = Some(now);
        self.timers.cancel(run.claim_timer.take());
        if let Some(queue) = self.queues.get_mut(&task.definition.task_queue_id) {
            queue.claimed -= usize::from(was_running);
            if let Some(key) = run.pending.take() {
                queue.remove(&key);
            }
        }
        match verdict.retry().filter(|_| task.retries_left > 0) {
            Some(reason) => {
                task.retries_left -= 1;
                self.add_run(task_id, reason, now);
            }
            None => self.settle(task_id, now),
        }
    }

    /// Does what follows from the end of a task: frees what waits for it, and indexes it.
    fn settle(&mut self, task_id: &str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else {
            return;
        };
        self.timers.cancel(task.deadline_timer.take());
        let (state, definition) = (task.state(), Arc::clone(&task.definition));
        if state == TaskState::Completed {
            index::add_completed(&mut self.index, task_id, &definition);
        }
        let dependents = self.tasks.get(task_id).map(|task| task.dependents.clone());
        for dependent in dependents.into_iter().flatten() {
            self.free(&dependent, task_id, state, now);
        }
    }

    fn free(&mut self, dependent: &str, task_id: &str, state: TaskState, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(dependent) else {
            return;
        };
        if frees(task.definition.requires, state)
            && task.waits_for.remove(task_id)
            && task.waits_for.is_empty()
            && task.runs.is_empty()
        {
            self.add_run(dependent, "scheduled", now);
        }
    }

    /// Ends the task with an exception; one that never was scheduled gets a run that says so.
    pub(super) fn stop_task(&mut self, task_id: &str, reason: &'static str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(task_id) else {
            return;
        };
        if task.state().is_resolved() {
            return;
        }
        if task.runs.is_empty() {
            task.runs.push(Run::new(0, "exception", now));
        }
        let last = task.runs.len() as u32 - 1;
        self.end_run(task_id, last, Verdict::Exception(reason), now);
    }

    /// Does everything whose time has come.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::ClaimExpired { task_id, run_id } => {
                    self.end_run(&task_id, run_id, Verdict::Exception("claim-expired"), now);
                }
                Timer::DeadlinePassed { task_id } => {
                    self.stop_task(&task_id, "deadline-exceeded", now)
                }
            }
        }
    }
}

/// The refusal for a run that is not there.
pub(crate) fn unknown_run(task_id: &str, run_id: u32) -> RequestError {
    RequestError::not_found(format!("Run {run_id} not found on task `{task_id}`."))
}
