//! Stopping a worker: immediately, or after the running tasks.

mod stoppable_once;
mod tracker;

use std::fmt;
use std::time::Duration;

pub use self::stoppable_once::StoppableOnce;
pub use self::tracker::LifeCycleTracker;

/// A component that can be stopped. All methods return immediately and may be called repeatedly.
pub trait Stoppable: Send + Sync + fmt::Debug {
    /// Stops immediately: running tasks are stopped and resolved as `worker-shutdown`.
    fn stop_now(&self);

    /// Stops after the running tasks. No new tasks are claimed.
    fn stop_gracefully(&self);

    /// Requests the stop `stage` because the machine disappears after `budget`. [`StopStage::Running`] only
    /// announces this deadline and stops nothing.
    ///
    /// The default implementation ignores the budget.
    fn stop_within(&self, stage: StopStage, budget: Duration) {
        let _ = budget;
        match stage {
            StopStage::Running => {}
            StopStage::Graceful => self.stop_gracefully(),
            StopStage::Now => self.stop_now(),
        }
    }
}

/// Calls the method of `stoppable` for a stage and the time until the machine disappears, if known.
pub(crate) fn request_stop(stoppable: &dyn Stoppable, stage: StopStage, budget: Option<Duration>) {
    match (stage, budget) {
        (stage, Some(budget)) => stoppable.stop_within(stage, budget),
        (StopStage::Running, None) => {}
        (StopStage::Graceful, None) => stoppable.stop_gracefully(),
        (StopStage::Now, None) => stoppable.stop_now(),
    }
}

/// The stage of a stop. Later stages are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// Not stopping.
    #[default]
    Running,
    /// No new tasks are claimed; running tasks finish.
    Graceful,
    /// Running tasks are stopped.
    Now,
}
