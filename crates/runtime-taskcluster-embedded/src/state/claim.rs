//! How workers get and keep tasks.

use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use super::end::unknown_run;
use super::task::{TaskState, TaskStatus};
use super::timers::Timer;
use crate::definition::Definition;
use crate::error::RequestError;
use crate::time;

/// A run that a worker has just got or kept.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) status: TaskStatus,
    pub(crate) run_id: u32,
    pub(crate) definition: Arc<Definition>,
}

/// Who claims, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) worker_group: &'a str,
    pub(crate) worker_id: &'a str,
    pub(crate) until: Timestamp,
    pub(crate) now: Timestamp,
}

impl State {
    /// Hands out the next pending run of a queue.
    pub(crate) fn claim_next(&mut self, task_queue_id: &str, claim: Claim<'_>) -> Option<Claimed> {
        loop {
            let (task_id, run_id) = self.queue(task_queue_id).pop()?;
            // What is past its deadline is no longer handed out; its timer ends it.
            if let Some(task) = self.tasks.get_mut(&task_id)
                && let Some(run) = task.runs.get_mut(run_id as usize)
            {
                run.pending = None;
                if task.definition.deadline >= claim.now {
                    return self.start_run(&task_id, run_id, claim);
                }
            }
        }
    }

    /// Hands out one certain run, or tells why not.
    pub(crate) fn claim_run(
        &mut self,
        task_id: &str,
        run_id: u32,
        claim: Claim<'_>,
    ) -> Result<Claimed, RequestError> {
        let task = self
            .tasks
            .get_mut(task_id)
            .ok_or_else(|| super::unknown_task(task_id))?;
        let run = task
            .runs
            .get_mut(run_id as usize)
            .ok_or_else(|| unknown_run(task_id, run_id))?;
        match run.status.state {
            TaskState::Pending => {
                let (queue, key) = (&task.definition.task_queue_id, run.pending.take());
                if let Some((queue, key)) = self.queues.get_mut(queue).zip(key) {
                    queue.remove(&key);
                }
                self.start_run(task_id, run_id, claim)
                    .ok_or_else(|| unknown_run(task_id, run_id))
            }
            TaskState::Running if run.is_claimed_by(claim.worker_group, claim.worker_id) => {
                Ok(Claimed {
                    run_id,
                    definition: Arc::clone(&task.definition),
                    status: task.status(),
                })
            }
            TaskState::Running => Err(RequestError::conflict(format!(
                "Run {run_id} was already claimed by another worker."
            ))),
            _ => Err(RequestError::conflict(format!(
                "Run {run_id} on task `{task_id}` is not pending."
            ))),
        }
    }

    fn start_run(&mut self, task_id: &str, run_id: u32, claim: Claim<'_>) -> Option<Claimed> {
        let task = self.tasks.get_mut(task_id)?;
        let run = task.runs.get_mut(run_id as usize)?;
        run.status.state = TaskState::Running;
        run.status.worker_group = Some(claim.worker_group.to_owned());
        run.status.worker_id = Some(claim.worker_id.to_owned());
        run.status.started = Some(claim.now);
        let definition = Arc::clone(&task.definition);
        self.queue(&definition.task_queue_id).claimed += 1;
        self.take_until(task_id, run_id, claim.until);
        let status = self.tasks.get(task_id)?.status();
        Some(Claimed {
            status,
            run_id,
            definition,
        })
    }

    /// Extends a claim, or tells why the worker has lost it.
    pub(crate) fn reclaim(
        &mut self,
        task_id: &str,
        run_id: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, RequestError> {
        let task = self.task(task_id)?;
        let run = task
            .run(run_id)
            .ok_or_else(|| unknown_run(task_id, run_id))?;
        if task.definition.deadline < now {
            let deadline = time::millis(task.definition.deadline);
            return Err(RequestError::conflict(format!(
                "Task `{task_id}` can't be reclaimed past its deadline of {deadline}."
            )));
        }
        if run.status.state != TaskState::Running {
            return Err(RequestError::conflict(format!(
                "Run {run_id} on task `{task_id}` is resolved or not running."
            )));
        }
        let definition = Arc::clone(&task.definition);
        self.take_until(task_id, run_id, until);
        let status = self.task(task_id)?.status();
        Ok(Claimed {
            status,
            run_id,
            definition,
        })
    }

    fn take_until(&mut self, task_id: &str, run_id: u32, until: Timestamp) {
        let due = time::after(until, self.resolver_delay);
        let Some(task) = self.tasks.get_mut(task_id) else {
            return;
        };
        let Some(run) = task.runs.get_mut(run_id as usize) else {
            return;
        };
        run.status.taken_until = Some(until);
        self.timers.cancel(run.claim_timer.take());
        let timer = Timer::ClaimExpired {
            task_id: Arc::clone(&task.id),
            run_id,
        };
        run.claim_timer = Some(self.timers.add(due, timer));
    }
}
