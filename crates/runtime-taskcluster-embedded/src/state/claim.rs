//! Claims and reclaims of runs.
//!
//! A run is pending, then running, then resolved. While it runs, `takenUntil` and a timer contain the end of the claim.
//! A reclaim moves both, and the expiry of the claim ends the run (`resolve.rs`).

use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::queue::TaskState;

use super::State;
use super::resolve::unknown_run;
use super::task::TaskSnapshot;
use super::timers::Timer;
use crate::definition::Definition;
use crate::error::RequestError;
use crate::time;

/// A run that was just claimed or reclaimed.
#[derive(Debug)]
pub(crate) struct ClaimedRun {
    pub(crate) status: TaskSnapshot,
    pub(crate) run_id: u32,
    pub(crate) definition: Arc<Definition>,
}

/// The worker that claims, and the lifetime of the claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimRequest<'a> {
    pub(crate) worker_group: &'a str,
    pub(crate) worker_id: &'a str,
    pub(crate) taken_until: Timestamp,
    pub(crate) now: Timestamp,
}

impl State {
    /// Claims the next pending run of a queue.
    pub(crate) fn claim_next(
        &mut self,
        task_queue_id: &str,
        claim: ClaimRequest<'_>,
    ) -> Option<ClaimedRun> {
        loop {
            let (task_id, run_id) = self.queue(task_queue_id).pop()?;
            let Ok(Some(task)) = self.tasks.get_mut(&task_id) else {
                continue;
            };
            if let Some(run) = task.runs.get_mut(run_id as usize) {
                run.pending = None;
            }
            // With a resolver delay, a run may be pending after its deadline. It is not handed out;
            // the deadline timer resolves it later.
            if task.definition.deadline >= claim.now {
                return self.start_run(&task_id, run_id, claim);
            }
        }
    }

    /// Claims a specific run.
    pub(crate) fn claim_run(
        &mut self,
        task_id: &str,
        run_id: u32,
        claim: ClaimRequest<'_>,
    ) -> Result<ClaimedRun, RequestError> {
        let task = self.task(task_id)?;
        let run = task
            .run(run_id)
            .ok_or_else(|| unknown_run(task_id, run_id))?;
        match run.status.state {
            TaskState::Pending => {}
            // A worker that lost the response claims again and gets the same claim.
            TaskState::Running if run.is_claimed_by(claim.worker_group, claim.worker_id) => {
                return Ok(ClaimedRun {
                    run_id,
                    definition: Arc::clone(&task.definition),
                    status: task.status(),
                });
            }
            TaskState::Running => {
                return Err(RequestError::conflict(format!(
                    "Run {run_id} was already claimed by another worker."
                )));
            }
            _ => {
                return Err(RequestError::conflict(format!(
                    "Run {run_id} on task `{task_id}` is not pending."
                )));
            }
        }
        let queue = task.definition.task_queue_id.clone();
        // Not before the checks: a task that may change is written to the journal.
        let run = self.task_mut(task_id)?.runs.get_mut(run_id as usize);
        let key = run.and_then(|run| run.pending.take());
        if let Some((queue, key)) = self.queues.get_mut(&queue).zip(key) {
            queue.remove(&key);
        }
        self.start_run(task_id, run_id, claim)
            .ok_or_else(|| unknown_run(task_id, run_id))
    }

    fn start_run(
        &mut self,
        task_id: &str,
        run_id: u32,
        claim: ClaimRequest<'_>,
    ) -> Option<ClaimedRun> {
        let task = self.tasks.get_mut(task_id).ok()??;
        let run = task.runs.get_mut(run_id as usize)?;
        run.status.state = TaskState::Running;
        run.status.worker_group = Some(claim.worker_group.to_owned());
        run.status.worker_id = Some(claim.worker_id.to_owned());
        run.status.started = Some(claim.now);
        let definition = Arc::clone(&task.definition);
        self.queue(&definition.task_queue_id).claimed += 1;
        self.set_taken_until(task_id, run_id, claim.taken_until);
        Some(ClaimedRun {
            status: self.tasks.get(task_id).ok()??.status(),
            run_id,
            definition,
        })
    }

    /// Extends a claim, or fails if the worker has lost it.
    pub(crate) fn reclaim(
        &mut self,
        task_id: &str,
        run_id: u32,
        taken_until: Timestamp,
        now: Timestamp,
    ) -> Result<ClaimedRun, RequestError> {
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
        if run.status.state == TaskState::Pending {
            // Only credentials with more scopes than those of a claim get here. The real queue does not expect them.
            return Err(RequestError::internal());
        }
        // `takenUntil` may have passed: until the timer ends the run, a late reclaim is accepted.
        if run.status.state != TaskState::Running {
            return Err(RequestError::conflict(format!(
                "Run {run_id} on task `{task_id}` is resolved or not running."
            )));
        }
        let definition = Arc::clone(&task.definition);
        self.set_taken_until(task_id, run_id, taken_until);
        Ok(ClaimedRun {
            status: self.task(task_id)?.status(),
            run_id,
            definition,
        })
    }

    /// Sets the end of the claim and replaces its timer.
    fn set_taken_until(&mut self, task_id: &str, run_id: u32, taken_until: Timestamp) {
        // The real queue ends a claim when its resolver polls, some seconds after `takenUntil`. A
        // late reclaim or report succeeds until then.
        let due = time::after(taken_until, self.resolver_delay);
        let Ok(Some(task)) = self.tasks.get_mut(task_id) else {
            return;
        };
        let Some(run) = task.runs.get_mut(run_id as usize) else {
            return;
        };
        run.status.taken_until = Some(taken_until);
        self.timers.cancel(run.claim_timer.take());
        let task_id = Arc::clone(&task.id);
        run.claim_timer = Some(
            self.timers
                .add(due, Timer::ClaimExpired { task_id, run_id }),
        );
    }
}
