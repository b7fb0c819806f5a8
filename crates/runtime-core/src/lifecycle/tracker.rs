//! The record of the requested stop of a worker.

use std::time::Duration;

use runtime_atomics::Once;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{StopStage, Stoppable};

/// Records the requested stop of a worker and wakes its waiters. Clones share the state.
///
/// The worker loop waits on a tracker; signal handlers, shutdown sources and plugins stop it. A stop never becomes less
/// urgent.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_core::{LifeCycleTracker, StopStage, Stoppable};
/// let worker = LifeCycleTracker::new();
/// worker.stop_within(StopStage::Now, Duration::from_secs(30));
/// assert_eq!(worker.stage(), StopStage::Now);
/// assert!(worker.stopping_gracefully().is_done() && worker.stopping_now().is_done());
/// assert!(worker.time_left().is_some_and(|left| left <= Duration::from_secs(30)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct LifeCycleTracker {
    stopping_gracefully: Once,
    stopping_now: Once,
    /// The time at which the machine disappears, if known.
    deadline: watch::Sender<Option<Instant>>,
}

impl LifeCycleTracker {
    /// Creates a tracker in stage [`StopStage::Running`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the `Once` that is done when a graceful or an immediate stop was requested.
    ///
    /// To stop the worker, use [`Stoppable`], which keeps both stages consistent.
    #[must_use]
    pub fn stopping_gracefully(&self) -> &Once {
        &self.stopping_gracefully
    }

    /// Returns the `Once` that is done when an immediate stop was requested.
    ///
    /// To stop the worker, use [`Stoppable`], which keeps both stages consistent.
    #[must_use]
    pub fn stopping_now(&self) -> &Once {
        &self.stopping_now
    }

    /// Returns the current stage.
    #[must_use]
    pub fn stage(&self) -> StopStage {
        if self.stopping_now.is_done() {
            StopStage::Now
        } else if self.stopping_gracefully.is_done() {
            StopStage::Graceful
        } else {
            StopStage::Running
        }
    }

    /// Returns the time until the machine disappears, if known; zero after that.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = (*self.deadline.borrow())?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until the worker is in `stage` or a later one.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_for_stage(&self, stage: StopStage) {
        match stage {
            StopStage::Running => {}
            StopStage::Graceful => self.stopping_gracefully.wait().await,
            StopStage::Now => self.stopping_now.wait().await,
        }
    }

    /// Waits until at most `reserve` is left until the machine disappears. Never returns while no deadline is
    /// known.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_until_remaining(&self, reserve: Duration) {
        let mut receiver = self.deadline.subscribe();
        loop {
            let deadline = *receiver.borrow_and_update();
            let until = deadline.map(|deadline| deadline.checked_sub(reserve));
            tokio::select! {
                // The sender lives in `self`, so the channel stays open. A new deadline restarts the wait.
                _ = receiver.changed() => {}
                () = sleep_until_some(until.flatten()), if until.is_some() => return,
            }
        }
    }

    fn set_deadline(&self, deadline: Instant) {
        self.deadline.send_if_modified(|known| {
            let is_earlier = known.is_none_or(|known| deadline < known);
            if is_earlier {
                *known = Some(deadline);
            }
            is_earlier
        });
    }

    fn set_stage(&self, stage: StopStage) {
        // The immediate stage first: a waiter for the graceful one then sees the final stage when it wakes.
        if stage >= StopStage::Now {
            self.stopping_now.call(|| {});
        }
        if stage >= StopStage::Graceful {
            self.stopping_gracefully.call(|| {});
        }
    }
}

/// Sleeps until `instant`. `None` is an instant before the origin of the clock, which has passed.
async fn sleep_until_some(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}

impl Stoppable for LifeCycleTracker {
    fn stop_now(&self) {
        self.set_stage(StopStage::Now);
    }

    fn stop_gracefully(&self) {
        self.set_stage(StopStage::Graceful);
    }

    fn stop_within(&self, stage: StopStage, budget: Duration) {
        // Before the stage, so that a waiter for the stage knows the deadline.
        if let Some(deadline) = Instant::now().checked_add(budget) {
            self.set_deadline(deadline);
        }
        self.set_stage(stage);
    }
}
