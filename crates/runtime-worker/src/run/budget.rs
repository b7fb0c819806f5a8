//! How much time a task may still take once its worker stops.

use std::time::Duration;

use runtime_core::{LifeCycleTracker, StopStage};

use crate::Timing;

/// What is left for the process to end after everything else.
const LEAVE: Duration = Duration::from_secs(2);

/// The time that is left, as far as anybody knows.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    pub(super) stop: &'a LifeCycleTracker,
    pub(super) timing: &'a Timing,
}

impl Budget<'_> {
    /// Reports whether the worker must stop at once.
    pub(super) fn is_short(&self) -> bool {
        self.stop.stage() == StopStage::Now
    }

    /// How long an engine may take to end a task: a quarter of what is left when the worker stops, so
    /// that there is time to report and to upload.
    pub(super) fn for_kill(&self) -> Duration {
        if !self.is_short() {
            return self.timing.kill_timeout;
        }
        let left = self.stop.time_left().unwrap_or(self.timing.shutdown);
        self.timing.kill_timeout.min(left / 4)
    }

    /// Waits until the worker must stop at once.
    pub(super) async fn gets_short(&self) {
        self.stop.wait_for_stage(StopStage::Now).await;
    }

    /// Waits until there is no time for anything more.
    pub(super) async fn is_spent(&self) {
        self.gets_short().await;
        self.stop.wait_until_remaining(LEAVE).await;
    }

    /// Does as much of `work` as there is time for.
    pub(super) async fn spend(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.is_spent() => {}
        }
    }
}
