//! Stopping a worker: immediately, or after the running tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// A component that can be stopped. All methods return immediately and may be called repeatedly.
pub trait Stoppable: Send + Sync + fmt::Debug {
    /// Stops immediately: running tasks are stopped and resolved as `worker-shutdown`.
    fn stop_now(&self);

    /// Stops after the running tasks. No new tasks are claimed.
    fn stop_gracefully(&self);

    /// Stops, knowing that the machine disappears after `budget`.
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

/// Forwards a stop only if it is more urgent than all earlier ones: an immediate stop after a graceful
/// one, or an earlier deadline.
#[derive(Debug)]
pub struct StoppableOnce {
    inner: Arc<dyn Stoppable>,
    forwarded: Mutex<StopRequest>,
}

impl StoppableOnce {
    /// Creates a wrapper around `inner`.
    pub fn new(inner: Arc<dyn Stoppable>) -> Self {
        Self {
            inner,
            forwarded: Mutex::default(),
        }
    }
}

impl Stoppable for StoppableOnce {
    fn stop_now(&self) {
        if self.forwarded.lock().raise(StopStage::Now, None) {
            self.inner.stop_now();
        }
    }

    fn stop_gracefully(&self) {
        if self.forwarded.lock().raise(StopStage::Graceful, None) {
            self.inner.stop_gracefully();
        }
    }

    fn stop_within(&self, stage: StopStage, budget: Duration) {
        let deadline = Instant::now().checked_add(budget);
        // The highest stage so far is forwarded, not `stage`: an earlier deadline of a graceful stop must
        // not look like the end of an immediate one.
        let (is_raised, stage) = {
            let mut forwarded = self.forwarded.lock();
            (forwarded.raise(stage, deadline), forwarded.stage)
        };
        if is_raised {
            self.inner.stop_within(stage, budget);
        }
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

/// Records the requested stop of a worker and notifies those who wait for it. Clones share the state.
///
/// The worker loop waits on a tracker; signal handlers, shutdown sources and plugins stop it.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_core::{LifeCycleTracker, StopStage, Stoppable};
/// let worker = LifeCycleTracker::new();
/// worker.stop_within(StopStage::Now, Duration::from_secs(30));
/// assert_eq!(worker.stage(), StopStage::Now);
/// assert!(worker.time_left().is_some_and(|left| left <= Duration::from_secs(30)));
/// ```
#[derive(Clone, Debug)]
pub struct LifeCycleTracker {
    request: watch::Sender<StopRequest>,
}

/// The most urgent stop requested so far. Stage and deadline only ever become more urgent.
#[derive(Clone, Copy, Debug, Default)]
struct StopRequest {
    stage: StopStage,
    /// The time at which the machine disappears, if known.
    deadline: Option<Instant>,
}

impl StopRequest {
    /// Merges a request; returns whether it raised the urgency.
    fn raise(&mut self, stage: StopStage, deadline: Option<Instant>) -> bool {
        let is_earlier = |deadline: &Instant| self.deadline.is_none_or(|known| *deadline < known);
        // Stage and deadline are raised independently: a notice with a later deadline may still be more urgent.
        let earlier = deadline.filter(is_earlier);
        let raised = self.stage < stage || earlier.is_some();
        self.stage = stage.max(self.stage);
        self.deadline = earlier.or(self.deadline);
        raised
    }
}

impl LifeCycleTracker {
    /// Creates a tracker in stage [`StopStage::Running`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            request: watch::Sender::new(StopRequest::default()),
        }
    }

    /// Returns the current stage.
    #[must_use]
    pub fn stage(&self) -> StopStage {
        self.request.borrow().stage
    }

    /// Returns the time until the machine disappears, if known; zero after that.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.request.borrow().deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until the worker is in `stage` or a later one.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_for_stage(&self, stage: StopStage) {
        let mut receiver = self.request.subscribe();
        // The sender lives in `self`, so the channel stays open.
        let _ = receiver.wait_for(|request| request.stage >= stage).await;
    }

    /// Waits until at most `reserve` is left until the machine disappears. Never returns while no deadline is
    /// known.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_until_remaining(&self, reserve: Duration) {
        let mut receiver = self.request.subscribe();
        loop {
            let deadline = receiver.borrow_and_update().deadline;
            let until = deadline.map(|deadline| deadline.checked_sub(reserve));
            tokio::select! {
                // The sender lives in `self`, so the channel stays open. A new deadline restarts the wait.
                _ = receiver.changed() => {}
                () = sleep_until_some(until.flatten()), if until.is_some() => return,
            }
        }
    }

    fn raise(&self, stage: StopStage, deadline: Option<Instant>) {
        self.request
            .send_if_modified(|request| request.raise(stage, deadline));
    }
}

/// Sleeps until `instant`. `None` is an instant before the origin of the clock, which has passed.
async fn sleep_until_some(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}

impl Default for LifeCycleTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Stoppable for LifeCycleTracker {
    fn stop_now(&self) {
        self.raise(StopStage::Now, None);
    }

    fn stop_gracefully(&self) {
        self.raise(StopStage::Graceful, None);
    }

    fn stop_within(&self, stage: StopStage, budget: Duration) {
        self.raise(stage, Instant::now().checked_add(budget));
    }
}
