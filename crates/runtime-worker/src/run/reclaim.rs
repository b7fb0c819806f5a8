//! Reclaims a run before its claim expires, and polls for cancellation.

use std::time::Duration;

use futures_util::FutureExt as _;
use runtime_core::clock::duration_until;
use runtime_core::queue::Queue;
use runtime_core::{ApiError, StopReason, TaskContextController, Timestamp, error_chain};
use runtime_http::Backoff;

use super::status::{fetch_status, is_claim_lost, stop_reason};
use crate::backoff::{jittered, wait_before_retry};
use crate::task_run::TaskRun;
use crate::timing::Timing;

/// Interval between reclaims while the local clock says that the claim has expired.
const CLOCK_SKEW_INTERVAL: Duration = Duration::from_secs(60);

/// Reclaims a run before its claim expires and polls for cancellation.
///
/// Only the queue decides whether the claim is lost. The local clock, which may be wrong, only decides when to ask.
pub(super) struct ClaimWatcher<'a> {
    /// The queue with the credentials of the worker, which do not expire with the claim.
    pub(super) queue: &'a dyn Queue,
    pub(super) run: &'a TaskRun,
    pub(super) controller: &'a TaskContextController,
    pub(super) timing: &'a Timing,
}

impl ClaimWatcher<'_> {
    /// Runs until the claim is lost and returns the reason.
    pub(super) async fn run(&self, taken_until: Timestamp) -> StopReason {
        tokio::select! {
            reason = self.reclaim_loop(taken_until) => reason,
            reason = self.poll_cancellation() => reason,
        }
    }

    async fn reclaim_loop(&self, mut taken_until: Timestamp) -> StopReason {
        loop {
            let wake = self.next_reclaim(taken_until);
            tokio::select! {
                () = self.run.environment.clock.sleep_until(wake) => {}
                // Another request of this run got a 401. Only a reclaim can replace the credentials of a claim, so it
                // is made early; if the claim is lost instead, the queue says so in its answer.
                () = self.controller.credentials_refused() => {
                    self.run.monitor().info("a request was refused; requesting new credentials");
                }
            }
            match self.reclaim(taken_until).await {
                Ok(new_taken_until) => {
                    // Discard refusals from before this reclaim: they were about the old credentials, and each would
                    // cause another reclaim at once.
                    let _ = self.controller.credentials_refused().now_or_never();
                    taken_until = new_taken_until;
                }
                Err(reason) => return reason,
            }
        }
    }

    /// Asks for the status of the run at intervals. The queue notifies workers of a cancellation only through the
    /// error of the next reclaim, which may be many minutes away.
    async fn poll_cancellation(&self) -> StopReason {
        loop {
            tokio::time::sleep(jittered(self.timing.cancel_poll_interval)).await;
            if let Some(reason) = self.fetch_stop_reason().await {
                return reason;
            }
        }
    }

    fn next_reclaim(&self, taken_until: Timestamp) -> Timestamp {
        let now = self.now();
        let deadline = self.run.context.info().definition.deadline;
        let wake = match duration_until(now, taken_until) {
            Some(remaining) => {
                // At most a third of the remaining time: a fixed margin would reclaim short claims in a tight loop.
                let margin = jittered(self.timing.reclaim_margin.min(remaining / 3));
                taken_until.checked_sub(margin).unwrap_or(taken_until)
            }
            // A claim that has just been granted seems to be expired: the clocks differ, and the claim's real expiry
            // is unknown. A fixed interval neither floods the queue nor waits for a time that has passed.
            None => now
                .checked_add(jittered(CLOCK_SKEW_INTERVAL))
                .unwrap_or(taken_until),
        };
        // The queue refuses every reclaim after the deadline, so one at the deadline detects it without delay. A
        // deadline that has passed by the local clock does not count: again the clocks may differ.
        if now < deadline {
            wake.min(deadline)
        } else {
            wake
        }
    }

    /// Retries `reclaimTask` until it succeeds, the queue reports that the claim is lost, or `claim_grace` has passed
    /// since the claim expired.
    async fn reclaim(&self, taken_until: Timestamp) -> Result<Timestamp, StopReason> {
        // Counted from now at the earliest: after a suspend of the machine the claim may have expired hours ago, and
        // the network needs a moment to return.
        let give_up = taken_until
            .max(self.now())
            .checked_add(self.timing.claim_grace)
            .unwrap_or(Timestamp::MAX);
        tokio::select! {
            // An answer that is ready at the same moment wins over giving up.
            biased;
            reclaimed = self.retry_reclaim(taken_until) => reclaimed,
            () = self.run.environment.clock.sleep_until(give_up) => {
                let grace = self.timing.claim_grace;
                self.run.monitor().warn(format_args!(
                    "claim expired: the queue was unreachable until {grace:?} after the expiry"
                ));
                Err(self.presumed_reason())
            }
        }
    }

    async fn retry_reclaim(&self, taken_until: Timestamp) -> Result<Timestamp, StopReason> {
        let (context, monitor) = (&self.run.context, self.run.monitor());
        let first_delay = self.timing.retry_delay;
        let mut backoff = Backoff::new(first_delay);
        loop {
            match context.queue().reclaim_task(context.run()).await {
                Ok(reclaim) => {
                    self.controller.set_credentials(reclaim.credentials);
                    monitor.count("reclaimed", 1);
                    return Ok(reclaim.taken_until);
                }
                Err(error) if is_claim_lost(&error) || self.is_expired(&error, taken_until) => {
                    monitor.info(format_args!("claim lost: {}", error_chain(&error)));
                    // A 409 has many causes; the status distinguishes a cancellation from a lost claim.
                    let reason = self.fetch_stop_reason().await;
                    return Err(reason.unwrap_or_else(|| self.presumed_reason()));
                }
                Err(error) => {
                    monitor.warn(format_args!(
                        "cannot reclaim, retrying: {}",
                        error_chain(&error)
                    ));
                    wait_before_retry(&mut backoff, first_delay).await;
                }
            }
        }
    }

    /// Reports whether a 401 means that the claim has expired: its credentials expire with it.
    fn is_expired(&self, error: &ApiError, taken_until: Timestamp) -> bool {
        error.status() == Some(401) && self.now() > taken_until
    }

    /// Returns the likely reason while the status does not show one: the queue refuses reclaims from the deadline on,
    /// but resolves the run up to a minute later.
    fn presumed_reason(&self) -> StopReason {
        if self.now() < self.run.context.info().definition.deadline {
            StopReason::ClaimLost
        } else {
            StopReason::DeadlineExceeded
        }
    }

    fn now(&self) -> Timestamp {
        self.run.environment.clock.now()
    }

    async fn fetch_stop_reason(&self) -> Option<StopReason> {
        stop_reason(&fetch_status(self.queue, self.run.context.run()).await?)
    }
}
