//! Stopping a worker: immediately, or after the running tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// Something that can be stopped. All methods return at once and may be called repeatedly.
pub trait Stoppable: Send + Sync + fmt::Debug {
    /// Stops as soon as possible: running tasks resolve as `worker-shutdown`.
    fn stop_now(&self);

    /// Stops after the running tasks; no new ones are claimed.
    fn stop_gracefully(&self);

    /// Stops, and states the time after which the machine disappears.
    ///
    /// The default implementation ignores the time.
    fn stop_within(&self, stage: StopStage, budget: Duration) {
        let _ = budget;
        match stage {
            StopStage::Running => {}
            StopStage::Graceful => self.stop_gracefully(),
            StopStage::Now => self.stop_now(),
        }
    }
}

/// Forwards a stop only if it is more urgent than all earlier ones: immediate after graceful, or with
/// an earlier deadline.
#[derive(Debug)]
pub struct StoppableOnce {
    inner: Arc<dyn Stoppable>,
    passed: Mutex<StopRequest>,
}

impl StoppableOnce {
    /// Creates a wrapper around `inner`.
    pub fn new(inner: Arc<dyn Stoppable>) -> Self {
        Self {
            inner,
            passed: Mutex::default(),
        }
    }
}

impl Stoppable for StoppableOnce {
    fn stop_now(&self) {
        if self.passed.lock().raise(StopStage::Now, None) {
            self.inner.stop_now();
        }
    }

    fn stop_gracefully(&self) {
        if self.passed.lock().raise(StopStage::Graceful, None) {
            self.inner.stop_gracefully();
        }
    }

    fn stop_within(&self, stage: StopStage, budget: Duration) {
        let deadline = Instant::now().checked_add(budget);
        let (is_raised, stage) = {
            let mut passed = self.passed.lock();
            (passed.raise(stage, deadline), passed.stage)
        };
        if is_raised {
            self.inner.stop_within(stage, budget);
        }
    }
}

/// The stage of a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// Not stopping.
    #[default]
    Running,
    /// Claim nothing more; finish the running tasks.
    Graceful,
    /// Stop the running tasks.
    Now,
}

/// Records the requested stop of a worker and lets others wait for it. Clones share the state.
///
/// The worker loop waits on a tracker; signal handlers, cloud providers and plugins stop it.
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

/// The most urgent stop so far.
#[derive(Clone, Copy, Debug, Default)]
struct StopRequest {
    stage: StopStage,
    /// When the machine disappears, if known.
    deadline: Option<Instant>,
}

impl StopRequest {
    /// Raises the urgency; returns whether it was raised.
    fn raise(&mut self, stage: StopStage, deadline: Option<Instant>) -> bool {
        let is_earlier = |deadline: &Instant| self.deadline.is_none_or(|known| *deadline < known);
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

    /// Returns the time until the machine disappears, if known.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.request.borrow().deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits for `stage` or a later one.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_for_stage(&self, stage: StopStage) {
        let mut receiver = self.request.subscribe();
        // The sender lives in `self`, so the channel stays open.
        let _ = receiver.wait_for(|request| request.stage >= stage).await;
    }

    /// Waits until the machine disappears in `reserve` or less; forever if no deadline is known.
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

/// Sleeps until `instant`; `None` stands for an instant before the clock's origin and returns at once.
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
