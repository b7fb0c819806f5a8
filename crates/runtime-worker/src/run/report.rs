//! Tells the queue how a run ended.

use runtime_core::queue::{RunStatus, TaskState};
use runtime_core::{ApiError, ExceptionReason, StopReason, error_chain};

use super::attempt::Attempt;
use super::keeper::{ends_claim, resolved_by_others};
use crate::Resolution;
use crate::worker::Pauses;

impl Attempt<'_> {
    /// Reports until the queue takes it, the run turns out to be somebody else's, or time is up, and
    /// returns what the run came to.
    ///
    /// No other report is ever sent for the run: the answer to this one may have been lost.
    pub(super) async fn report(&self, resolution: Resolution) -> Resolution {
        if let Resolution::Abandoned(_) = resolution {
            return resolution;
        }
        tokio::select! {
            biased;
            sent = self.send_until_answered(resolution) => match sent {
                Ok(()) => resolution,
                Err(refusal) => {
                    self.run.monitor().info(format_args!("the run is already resolved: {refusal}"));
                    self.found(resolution, StopReason::ClaimLost).await
                }
            },
            reason = self.lost.wait() => self.found(resolution, *reason).await,
            () = self.budget.is_spent() => {
                self.run.monitor().error(format_args!("no time was left to report {resolution}"));
                Resolution::Abandoned(StopReason::WorkerShutdown)
            }
        }
    }

    /// Sends the report until there is an answer that stands. The error is a refusal.
    async fn send_until_answered(&self, resolution: Resolution) -> Result<(), ApiError> {
        let mut pauses = Pauses::new(self.blueprint.timing.retry_pause);
        loop {
            match self.send(resolution).await {
                Ok(()) => return Ok(()),
                Err(error) if ends_claim(&error) => return Err(error),
                Err(error) => {
                    let error = error_chain(&error);
                    let monitor = self.run.monitor();
                    monitor.warn(format_args!("cannot report {resolution} yet: {error}"));
                    pauses.pause().await;
                }
            }
        }
    }

    async fn send(&self, resolution: Resolution) -> Result<(), ApiError> {
        if resolution == Resolution::Exception(ExceptionReason::WorkerShutdown) {
            // The queue runs it again at once, and a claim of ours that is on its way would get it.
            self.no_more_claims.wait().await;
        }
        let (queue, run) = (self.run.context.queue(), self.run.context.run());
        match resolution {
            Resolution::Completed => queue.report_completed(run).await?,
            Resolution::Failed => queue.report_failed(run).await?,
            Resolution::Exception(reason) => queue.report_exception(run, reason).await?,
            Resolution::Abandoned(_) => return Ok(()),
        };
        Ok(())
    }

    /// What the queue says that became of the run: perhaps it is our own report whose answer was lost.
    async fn found(&self, resolution: Resolution, otherwise: StopReason) -> Resolution {
        match self.look().await {
            Some(run) if is_ours(&run, resolution) => resolution,
            Some(run) => Resolution::Abandoned(resolved_by_others(&run).unwrap_or(otherwise)),
            None => Resolution::Abandoned(otherwise),
        }
    }
}

fn is_ours(run: &RunStatus, resolution: Resolution) -> bool {
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
