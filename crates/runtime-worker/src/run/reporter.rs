//! Reports the resolution of a run to the queue, exactly once.

use std::sync::OnceLock;

use runtime_core::monitor::traced_with;
use runtime_core::queue::{Queue, RunStatus, TaskState};
use runtime_core::{ApiError, ExceptionReason, StopReason, error_chain};
use runtime_http::Backoff;
use tokio::sync::SetOnce;

use super::budget::ShutdownBudget;
use super::status::{fetch_status, is_claim_lost, stop_reason};
use crate::delays::wait_before_retry;
use crate::resolution::Resolution;
use crate::task_run::TaskRun;

/// Sends the report of one run.
pub(super) struct ResolutionReporter<'a> {
    /// The queue with the credentials of the worker, which do not expire with the claim.
    pub(super) queue: &'a dyn Queue,
    pub(super) run: &'a TaskRun,
    pub(super) budget: ShutdownBudget<'a>,
    /// Set after the last claim of the worker was answered or given up.
    pub(super) no_more_claims: &'a SetOnce<()>,
    /// Set when the claim is lost. The task's stop reason cannot replace it: the first reason wins there, so after
    /// `WorkerShutdown` it never shows the loss.
    pub(super) claim_lost: SetOnce<StopReason>,
    /// The resolution of the first report.
    pub(super) first_report: OnceLock<Resolution>,
}

impl ResolutionReporter<'_> {
    /// Retries the report until the queue accepts or refuses it, the claim is lost, or the time is used up, and
    /// returns the actual resolution of the run.
    ///
    /// A different report never follows, since this one may have been accepted although its answer was lost. A second
    /// call, after a panic during the first, repeats the first report.
    pub(super) async fn report(&self, resolution: Resolution) -> Resolution {
        if let Resolution::Abandoned(_) = resolution {
            return resolution;
        }
        let resolution = *self.first_report.get_or_init(|| resolution);
        let failure = |actual: &Resolution| (*actual != resolution).then(|| actual.to_string());
        traced_with("report", Vec::new, self.report_first(resolution), failure).await
    }

    /// Sends the report until one of the events that [`report`](Self::report) lists.
    async fn report_first(&self, resolution: Resolution) -> Resolution {
        tokio::select! {
            // An answer that has arrived counts more than a loss or a timeout at the same moment.
            biased;
            sent = self.retry_send(resolution) => match sent {
                Ok(()) => resolution,
                Err(refusal) => {
                    self.run.monitor().info(format_args!("the run is already resolved: {refusal}"));
                    self.actual_resolution(resolution, StopReason::ClaimLost).await
                }
            },
            reason = self.claim_lost.wait() => self.actual_resolution(resolution, *reason).await,
            () = self.budget.exhausted() => {
                self.run.monitor().error(format_args!("no time left to report {resolution}"));
                Resolution::Abandoned(StopReason::WorkerShutdown)
            }
        }
    }

    /// Sends the report until the queue accepts it. The error is a refusal.
    async fn retry_send(&self, resolution: Resolution) -> Result<(), ApiError> {
        let first_delay = self.budget.timing.retry_delay;
        // Without a maximum number of attempts: `report_first` drops this future when the claim is
        // lost or the time is used up.
        let mut backoff = Backoff::new(first_delay);
        loop {
            match self.send(resolution).await {
                Ok(()) => return Ok(()),
                // The queue answers a repeated report with 200, so a report whose first answer was
                // lost succeeds. A 409 means that the run was resolved in another way.
                Err(error) if is_claim_lost(&error) => return Err(error),
                Err(error) => {
                    let error = error_chain(&error);
                    let monitor = self.run.monitor();
                    monitor.warn(format_args!(
                        "cannot report {resolution}, retrying: {error}"
                    ));
                    wait_before_retry(&mut backoff, first_delay).await;
                }
            }
        }
    }

    async fn send(&self, resolution: Resolution) -> Result<(), ApiError> {
        if resolution == Resolution::Exception(ExceptionReason::WorkerShutdown) {
            // The queue makes a new run at once. A claim of this worker that is still in flight would get it, and the
            // task would lose another retry to the same shutdown.
            self.no_more_claims.wait().await;
        }
        // With the credentials of the run, as the queue requires for a report. If these expire, it answers 401 until
        // the claim counts as lost, which ends the attempts.
        let (queue, run) = (self.run.context.queue(), self.run.context.run());
        match resolution {
            Resolution::Completed => queue.report_completed(run).await?,
            Resolution::Failed => queue.report_failed(run).await?,
            Resolution::Exception(reason) => queue.report_exception(run, reason).await?,
            Resolution::Abandoned(_) => return Ok(()),
        };
        Ok(())
    }

    /// Returns the resolution that the queue shows after a refusal or a lost claim. It may be this worker's own
    /// report, whose answer was lost.
    async fn actual_resolution(&self, reported: Resolution, fallback: StopReason) -> Resolution {
        match fetch_status(self.queue, self.run.context.run()).await {
            Some(run) if shows(&run, reported) => reported,
            Some(run) => Resolution::Abandoned(stop_reason(&run).unwrap_or(fallback)),
            None => Resolution::Abandoned(fallback),
        }
    }
}

/// Returns whether the status of a run shows this resolution.
fn shows(run: &RunStatus, resolution: Resolution) -> bool {
    match resolution {
        Resolution::Completed => run.state == TaskState::Completed,
        Resolution::Failed => run.state == TaskState::Failed,
        Resolution::Exception(reason) => {
            let resolved = run.reason_resolved.as_ref();
            resolved.is_some_and(|resolved| resolved.as_str() == reason.as_str())
        }
        Resolution::Abandoned(_) => false,
    }
}
