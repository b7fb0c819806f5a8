//! Reclaims a run before its claim expires, and polls for cancellation.

use futures_util::FutureExt as _;
use runtime_core::queue::{Queue, TaskClaim};
use runtime_core::{ApiError, StopReason, TaskContextController, Timestamp, error_chain};
use runtime_http::Backoff;

use super::claim_clock::ClaimClock;
use super::status::{fetch_status, is_claim_lost, stop_reason};
use crate::delays::{jittered, wait_before_retry};
use crate::task_run::TaskRun;
use crate::timing::Timing;

/// Reclaims a run before its claim expires and polls for cancellation.
///
/// Only the queue decides whether the claim is lost. The local clock, which may be wrong, only decides when to ask.
pub(super) struct Reclaimer<'a> {
    /// The queue with the credentials of the worker, which do not expire with the claim.
    pub(super) queue: &'a dyn Queue,
    pub(super) run: &'a TaskRun,
    pub(super) controller: &'a TaskContextController,
    pub(super) timing: &'a Timing,
}

impl Reclaimer<'_> {
    /// Runs until the claim is lost and returns the reason.
    pub(super) async fn run(&self, claim: &TaskClaim) -> StopReason {
        let clock = ClaimClock::start(claim, &self.run.environment.clock);
        tokio::select! {
            reason = self.reclaim_loop(clock) => reason,
            reason = self.poll_cancellation() => reason,
        }
    }

    async fn reclaim_loop(&self, mut clock: ClaimClock) -> StopReason {
        loop {
            // At most a third of the claim: a fixed margin would reclaim short claims in a tight loop.
            let margin = jittered(self.timing.reclaim_margin.min(clock.length / 3));
            tokio::select! {
                () = clock.wait_until_due(margin) => {}
                // Another request of this run got a 401. Only a reclaim can replace the credentials of a claim, so it
                // is made early; if the claim is lost instead, the queue says so in its answer.
                () = self.controller.credentials_refused() => {
                    self.run.monitor().info("a request was refused; requesting new credentials");
                }
            }
            let granted = clock.stopwatch();
            match self.reclaim(&clock).await {
                Ok(taken_until) => {
                    // Discard refusals from before this reclaim: they were about the old credentials, and each would
                    // cause another reclaim at once.
                    let _ = self.controller.credentials_refused().now_or_never();
                    clock.renew(granted, taken_until);
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

    /// Retries `reclaimTask` until it succeeds, the queue reports that the claim is lost, or `claim_grace` has passed
    /// since the claim expired.
    async fn reclaim(&self, clock: &ClaimClock) -> Result<Timestamp, StopReason> {
        tokio::select! {
            // An answer that is ready at the same moment wins over giving up.
            biased;
            reclaimed = self.retry_reclaim(clock) => reclaimed,
            () = clock.wait_until_expired(self.timing.claim_grace) => {
                let grace = self.timing.claim_grace;
                self.run.monitor().warn(format_args!(
                    "claim expired: the queue was unreachable until {grace:?} after the expiry"
                ));
                Err(presumed_reason(clock))
            }
        }
    }

    async fn retry_reclaim(&self, clock: &ClaimClock) -> Result<Timestamp, StopReason> {
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
                Err(error) if is_claim_lost(&error) || is_expired(&error, clock) => {
                    monitor.info(format_args!("claim lost: {}", error_chain(&error)));
                    // A 409 has many causes; the status distinguishes a cancellation from a lost claim.
                    let reason = self.fetch_stop_reason().await;
                    return Err(reason.unwrap_or_else(|| presumed_reason(clock)));
                }
                // A 5xx or a lost connection says nothing about the claim. The queue may even have
                // accepted the request, and then accepts the next one too.
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

    async fn fetch_stop_reason(&self) -> Option<StopReason> {
        stop_reason(&fetch_status(self.queue, self.run.context.run()).await?)
    }
}

/// Returns whether a 401 means that the claim has expired: its credentials expire with it.
fn is_expired(error: &ApiError, clock: &ClaimClock) -> bool {
    error.status() == Some(401) && clock.has_expired()
}

/// Returns the likely reason while the status does not show one: the queue refuses reclaims from the deadline on,
/// but resolves the run up to a minute later.
fn presumed_reason(clock: &ClaimClock) -> StopReason {
    if clock.is_past_deadline() {
        StopReason::DeadlineExceeded
    } else {
        StopReason::ClaimLost
    }
}
