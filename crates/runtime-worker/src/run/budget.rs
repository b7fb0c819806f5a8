//! The time that a run may still take while its worker shuts down.

use std::time::Duration;

use runtime_core::{LifeCycleTracker, StopStage};

use crate::timing::{DISPOSE_RESERVE, EXIT_RESERVE, Timing};

/// The remaining time of a worker that shuts down.
#[derive(Clone, Copy)]
pub(super) struct ShutdownBudget<'a> {
    pub(super) stop: &'a LifeCycleTracker,
    pub(super) timing: &'a Timing,
}

impl ShutdownBudget<'_> {
    /// Returns whether an immediate stop was requested.
    pub(super) fn is_immediate(&self) -> bool {
        self.stop.stage() == StopStage::Now
    }

    /// Waits until an immediate stop is requested.
    pub(super) async fn immediate_stop(&self) {
        self.stop.wait_for_stage(StopStage::Now).await;
    }

    /// Waits until only the exit reserve remains. The claim loop sets a deadline for stops without one.
    pub(super) async fn exhausted(&self) {
        self.immediate_stop().await;
        self.stop.wait_until_remaining(EXIT_RESERVE).await;
    }

    /// Runs `work` and drops it when the budget is exhausted.
    pub(super) async fn run_within(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.exhausted() => {}
        }
    }

    /// Runs `work` and drops it when the time for the removal of files is used up as well.
    pub(super) async fn dispose_within(&self, work: impl Future<Output = ()>) {
        let out_of_time = async {
            self.exhausted().await;
            tokio::time::sleep(DISPOSE_RESERVE).await;
        };
        tokio::select! {
            () = work => {}
            () = out_of_time => {}
        }
    }

    /// Returns the time that an engine may take to kill a task.
    pub(super) fn kill_timeout(&self) -> Duration {
        if !self.is_immediate() {
            return self.timing.kill_timeout;
        }
        // A task that ignores its signals must not use up the time for the report and the uploads, so it gets a
        // quarter. A spot instance with two minutes left keeps 90 s for them. Without a deadline the claim loop sets
        // one soon.
        let remaining = self
            .stop
            .time_left()
            .unwrap_or(self.timing.shutdown_timeout);
        self.timing.kill_timeout.min(remaining / 4)
    }
}
