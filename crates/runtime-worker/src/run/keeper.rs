//! Holds on to the claim of a task while it runs.

use std::time::Duration;

use futures_util::FutureExt as _;
use runtime_core::clock::until;
use runtime_core::queue::{Queue, ResolvedReason, RunStatus, TaskState};
use runtime_core::{ApiError, Run, StopReason, TaskContextController, Timestamp, error_chain};

use crate::worker::{Pauses, jittered};
use crate::{TaskRun, Timing};

/// How long to wait for an explanation, which decides nothing.
const EXPLANATION: Duration = Duration::from_secs(10);

/// When to try again to extend a claim that seems to end before it begins: the clocks differ.
const BLIND_INTERVAL: Duration = Duration::from_secs(60);

/// Extends the claim before it ends, and looks now and then whether somebody resolved the run.
///
/// The queue decides whether the claim is lost; the clock only says when to ask it.
pub(super) struct Keeper<'a> {
    /// With the credentials of the worker, which do not end with the claim.
    pub(super) queue: &'a dyn Queue,
    pub(super) run: &'a TaskRun,
    pub(super) controller: &'a TaskContextController,
    pub(super) timing: &'a Timing,
}

impl Keeper<'_> {
    /// Works until the run is no longer this worker's.
    pub(super) async fn keep(&self, taken_until: Timestamp) -> StopReason {
        tokio::select! {
            reason = self.hold(taken_until) => reason,
            reason = self.watch() => reason,
        }
    }

    /// Extends the claim again and again, also early when its credentials are refused.
    async fn hold(&self, mut taken_until: Timestamp) -> StopReason {
        loop {
            let wake = self.next_wake(taken_until);
            tokio::select! {
                () = self.run.environment.clock.sleep_until(wake) => {}
                () = self.controller.credentials_refused() => {
                    self.run.monitor().info("a request was refused; asking for other credentials");
                }
            }
            match self.extend(taken_until).await {
                Ok(later) => {
                    // Whoever complained meanwhile has the new ones now.
                    let _ = self.controller.credentials_refused().now_or_never();
                    taken_until = later;
                }
                Err(reason) => return reason,
            }
        }
    }

    async fn watch(&self) -> StopReason {
        loop {
            tokio::time::sleep(jittered(self.timing.cancel_poll)).await;
            if let Some(reason) = self.look().await {
                return reason;
            }
        }
    }

    /// When to extend the claim, or the deadline, if that comes first: from then on the queue refuses.
    fn next_wake(&self, taken_until: Timestamp) -> Timestamp {
        let now = self.now();
        let deadline = self.run.context.info().definition.deadline;
        let wake = match until(now, taken_until) {
            Some(left) => {
                let early = jittered(self.timing.reclaim_margin.min(left / 3));
                taken_until.checked_sub(early).unwrap_or(taken_until)
            }
            None => now
                .checked_add(jittered(BLIND_INTERVAL))
                .unwrap_or(taken_until),
        };
        if now < deadline {
            wake.min(deadline)
        } else {
            wake
        }
    }

    /// Tries until it succeeds, the queue says that the run is not ours, or nobody can be asked until
    /// long after the claim is over.
    async fn extend(&self, taken_until: Timestamp) -> Result<Timestamp, StopReason> {
        // After a suspend the claim may be over for long, and the queue may still be asked.
        let give_up = taken_until
            .max(self.now())
            .checked_add(self.timing.claim_grace)
            .unwrap_or(Timestamp::MAX);
        tokio::select! {
            biased;
            extended = self.try_to_extend(taken_until) => extended,
            () = self.run.environment.clock.sleep_until(give_up) => {
                self.run.monitor().warn("the claim is over, and the queue could not be asked to extend it");
                Err(self.without_explanation())
            }
        }
    }

    async fn try_to_extend(&self, taken_until: Timestamp) -> Result<Timestamp, StopReason> {
        let mut pauses = Pauses::new(self.timing.retry_pause);
        loop {
            let context = &self.run.context;
            match context.queue().reclaim_task(context.run()).await {
                Ok(reclaim) => {
                    self.controller.set_credentials(reclaim.credentials);
                    self.run.monitor().count("reclaimed", 1);
                    return Ok(reclaim.taken_until);
                }
                Err(error) if ends_claim(&error) || self.is_too_late(&error, taken_until) => {
                    let monitor = self.run.monitor();
                    monitor.info(format_args!("the claim is over: {}", error_chain(&error)));
                    let explained = self.look().await;
                    return Err(explained.unwrap_or_else(|| self.without_explanation()));
                }
                Err(error) => {
                    let monitor = self.run.monitor();
                    monitor.warn(format_args!("cannot reclaim yet: {}", error_chain(&error)));
                    pauses.pause().await;
                }
            }
        }
    }

    /// The credentials of a claim end with it.
    fn is_too_late(&self, error: &ApiError, taken_until: Timestamp) -> bool {
        error.status() == Some(401) && self.now() > taken_until
    }

    /// The queue refuses from the deadline on, and only a minute later says why.
    fn without_explanation(&self) -> StopReason {
        if self.now() < self.run.context.info().definition.deadline {
            StopReason::ClaimLost
        } else {
            StopReason::DeadlineExceeded
        }
    }

    fn now(&self) -> Timestamp {
        self.run.environment.clock.now()
    }

    async fn look(&self) -> Option<StopReason> {
        resolved_by_others(&look(self.queue, self.run.context.run()).await?)
    }
}

/// Reports whether the queue says that the run is no longer ours. A 401 is not among these: it comes
/// and goes with the credentials.
pub(super) fn ends_claim(error: &ApiError) -> bool {
    matches!(error.status(), Some(403 | 404 | 409))
}

/// What the queue says of the run, if it can be asked.
pub(super) async fn look(queue: &dyn Queue, run: &Run) -> Option<RunStatus> {
    let status = tokio::time::timeout(EXPLANATION, queue.status(&run.task_id)).await;
    let mut runs = status.ok()?.ok()?.runs.into_iter();
    runs.find(|status| status.run_id == run.run_id)
}

/// Why the run is no longer running, or `None` if it is.
pub(super) fn resolved_by_others(run: &RunStatus) -> Option<StopReason> {
    if run.state == TaskState::Running {
        return None;
    }
    Some(match run.reason_resolved {
        Some(ResolvedReason::Canceled) => StopReason::Cancelled,
        Some(ResolvedReason::DeadlineExceeded) => StopReason::DeadlineExceeded,
        _ => StopReason::ClaimLost,
    })
}
