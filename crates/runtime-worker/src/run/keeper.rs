//! Holds on to the claim of a task while it runs.

use std::time::Duration;

use runtime_core::clock::until;
use runtime_core::queue::{ResolvedReason, TaskState, TaskStatus};
use runtime_core::{ApiError, Run, StopReason, TaskContext, TaskContextController, Timestamp};

use crate::TaskRun;

/// Reclaims before the claim ends, and looks now and then whether somebody resolved the run.
pub(super) struct Keeper<'a> {
    pub(super) run: &'a TaskRun,
    pub(super) controller: &'a TaskContextController,
    pub(super) taken_until: Timestamp,
    /// How often to look for a cancellation, which the queue does not tell of.
    pub(super) poll: Duration,
}

/// Reclaim no later than this before the claim ends; workers of Taskcluster commonly keep three minutes.
const MARGIN: Duration = Duration::from_secs(180);

/// How long to wait after a call that failed for a passing reason.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

impl Keeper<'_> {
    /// Works until the run is no longer this worker's, and stops the task then.
    pub(super) async fn keep(mut self) -> StopReason {
        let mut reclaim_at = self.next_reclaim();
        let reason = loop {
            let clock = &self.run.environment.clock;
            tokio::select! {
                () = clock.sleep_until(reclaim_at) => match self.reclaim().await {
                    Ok(()) => reclaim_at = self.next_reclaim(),
                    Err(reason) => break reason,
                },
                () = clock.sleep_until(self.run.context.info().definition.deadline) => {
                    break StopReason::DeadlineExceeded;
                }
                () = tokio::time::sleep(self.poll) => if let Some(reason) = self.look().await {
                    break reason;
                },
            }
        };
        self.controller.stop(reason);
        reason
    }

    /// A third of the claim before its end, or the margin if that is shorter, less a little at random
    /// so that many workers do not call at once.
    fn next_reclaim(&self) -> Timestamp {
        let left = until(self.run.environment.clock.now(), self.taken_until).unwrap_or_default();
        let early = (left / 3)
            .min(MARGIN)
            .mul_f64(1.0 + fraction(self.run.context.run()) / 10.0);
        self.taken_until
            .checked_sub(early)
            .unwrap_or(self.taken_until)
    }

    /// Tries until it succeeds, the claim is over, or the queue says that the run is resolved.
    async fn reclaim(&mut self) -> Result<(), StopReason> {
        loop {
            match self.queue_reclaim().await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() && self.claim_is_alive() => {
                    self.run
                        .monitor()
                        .warn(format_args!("cannot reclaim yet: {error}"));
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(self.reason_of(&error).await),
            }
        }
    }

    async fn queue_reclaim(&mut self) -> Result<(), ApiError> {
        let context: &TaskContext = &self.run.context;
        let reclaim = context.queue().reclaim_task(context.run()).await?;
        self.taken_until = reclaim.taken_until;
        self.controller.set_credentials(reclaim.credentials);
        self.run.monitor().count("reclaimed", 1);
        Ok(())
    }

    fn claim_is_alive(&self) -> bool {
        self.run.environment.clock.now() < self.taken_until
    }

    /// The status only explains a conflict; that the run is lost is certain without it.
    async fn reason_of(&self, error: &ApiError) -> StopReason {
        self.run
            .monitor()
            .info(format_args!("the claim is over: {error}"));
        self.look().await.unwrap_or(StopReason::ClaimLost)
    }

    async fn look(&self) -> Option<StopReason> {
        let context = &self.run.context;
        let status = context.queue().status(&context.run().task_id).await.ok()?;
        resolved_by_others(&status, context.run())
    }
}

/// Why the run is no longer running, or `None` if it is.
fn resolved_by_others(status: &TaskStatus, run: &Run) -> Option<StopReason> {
    let this = status
        .runs
        .iter()
        .find(|status| status.run_id == run.run_id)?;
    if this.state == TaskState::Running {
        return None;
    }
    Some(match this.reason_resolved {
        Some(ResolvedReason::Canceled) => StopReason::Cancelled,
        Some(ResolvedReason::DeadlineExceeded) => StopReason::DeadlineExceeded,
        _ => StopReason::ClaimLost,
    })
}

/// A number from 0 to 1 that differs from run to run; it need not be a surprise.
fn fraction(run: &Run) -> f64 {
    use std::hash::{BuildHasher as _, RandomState};

    f64::from(RandomState::new().hash_one(run) as u32) / f64::from(u32::MAX)
}
