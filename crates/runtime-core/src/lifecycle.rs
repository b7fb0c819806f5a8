//! Stopping: now, or when the running tasks are done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// Something that can be asked to stop. Both calls return at once and may come more than once.
pub trait Stoppable: Send + Sync + fmt::Debug {
    /// Asks to stop as soon as possible: running tasks resolve `worker-shutdown`.
    fn stop_now(&self);

    /// Asks to take no new work and to stop when what runs is done.
    fn stop_gracefully(&self);

    /// Asks to stop, and says after which time the machine goes away whatever is left to do.
    ///
    /// By default the time is not passed on.
    fn stop_within(&self, stage: StopStage, budget: Duration) {
        let _ = budget;
        match stage {
            StopStage::Running => {}
            StopStage::Graceful => self.stop_gracefully(),
            StopStage::Now => self.stop_now(),
        }
    }
}

/// Passes a stop on only if it goes beyond all before: from a graceful one to an immediate one, or to an earlier end
/// of the machine.
#[derive(Debug)]
pub struct StoppableOnce {
    inner: Arc<dyn Stoppable>,
    passed: Mutex<Wish>,
}

impl StoppableOnce {
    /// Wraps `inner`.
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
        let (goes_beyond, stage) = {
            let mut passed = self.passed.lock();
            (passed.raise(stage, deadline), passed.stage)
        };
        if goes_beyond {
            self.inner.stop_within(stage, budget);
        }
    }
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

/// Tells others that a stop was asked for; waiting is async.
///
/// The worker loop waits on one of these; signals, providers and plugins call it.
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
    wish: watch::Sender<Wish>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    stage: StopStage,
    /// When the machine goes away, if anybody knows.
    deadline: Option<Instant>,
}

impl Wish {
    /// Makes it no less urgent, and reports whether it is more urgent now.
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
    /// Makes a tracker that nobody has asked to stop.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wish: watch::Sender::new(Wish::default()),
        }
    }

    /// How far a stop has been asked for.
    #[must_use]
    pub fn stage(&self) -> StopStage {
        self.wish.borrow().stage
    }

    /// How long until the machine goes away; `None` while nobody has said.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.wish.borrow().deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits until a stop of at least `stage` has been asked for.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_for_stage(&self, stage: StopStage) {
        let mut receiver = self.wish.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|wish| wish.stage >= stage).await;
    }

    /// Waits until no more than `reserve` is left before the machine goes away; for ever if it does not.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_until_remaining(&self, reserve: Duration) {
        let mut receiver = self.wish.subscribe();
        loop {
            let deadline = receiver.borrow_and_update().deadline;
            let until = deadline.map(|deadline| deadline.checked_sub(reserve));
            tokio::select! {
                // The sender lives in `self`, so waiting cannot fail.
                _ = receiver.changed() => {}
                () = sleep_until_some(until.flatten()), if until.is_some() => return,
            }
        }
    }

    fn raise(&self, stage: StopStage, deadline: Option<Instant>) {
        self.wish
            .send_if_modified(|wish| wish.raise(stage, deadline));
    }
}

/// A moment before the clock began is past.
async fn sleep_until_some(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
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
