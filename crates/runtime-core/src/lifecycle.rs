//! Stopping: now, or when the running tasks are done.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Something that can be asked to stop. Both calls return at once and may come more than once.
pub trait Stoppable: Send + Sync + fmt::Debug {
    /// Asks to stop as soon as possible: running tasks resolve `worker-shutdown`.
    fn stop_now(&self);

    /// Asks to take no new work and to stop when what runs is done.
    fn stop_gracefully(&self);
}

/// Passes each kind of stop on at most once, and no graceful one after an immediate one.
#[derive(Debug)]
pub struct StoppableOnce {
    inner: Arc<dyn Stoppable>,
    passed: Mutex<StopStage>,
}

impl StoppableOnce {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn Stoppable>) -> Self {
        Self {
            inner,
            passed: Mutex::default(),
        }
    }

    /// Reports whether `stage` goes beyond all that was passed on before.
    fn raise(&self, stage: StopStage) -> bool {
        let mut passed = self.passed.lock();
        let beyond = *passed < stage;
        *passed = stage.max(*passed);
        beyond
    }
}

impl Stoppable for StoppableOnce {
    fn stop_now(&self) {
        if self.raise(StopStage::Now) {
            self.inner.stop_now();
        }
    }

    fn stop_gracefully(&self) {
        if self.raise(StopStage::Graceful) {
            self.inner.stop_gracefully();
        }
    }
}

/// Tells others that a stop was asked for; waiting is async.
///
/// The worker loop waits on one of these; signals, providers and plugins call it.
#[derive(Clone, Debug)]
pub struct LifeCycleTracker {
    stage: watch::Sender<StopStage>,
}

/// How far a stop has been asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// Go on.
    #[default]
    Running,
    /// Take no new work; finish what runs.
    Graceful,
    /// Stop what runs.
    Now,
}

impl LifeCycleTracker {
    /// Makes a tracker that nobody has asked to stop.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: watch::Sender::new(StopStage::Running),
        }
    }

    /// How far a stop has been asked for.
    #[must_use]
    pub fn stage(&self) -> StopStage {
        *self.stage.borrow()
    }

    /// Waits until a stop of at least `stage` has been asked for.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn reached(&self, stage: StopStage) {
        let mut receiver = self.stage.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|now| *now >= stage).await;
    }

    fn raise(&self, stage: StopStage) {
        self.stage.send_if_modified(|now| {
            let raised = *now < stage;
            *now = stage.max(*now);
            raised
        });
    }
}

impl Default for LifeCycleTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Stoppable for LifeCycleTracker {
    fn stop_now(&self) {
        self.raise(StopStage::Now);
    }

    fn stop_gracefully(&self) {
        self.raise(StopStage::Graceful);
    }
}
