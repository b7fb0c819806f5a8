//! The clock of the embedded Taskcluster: the machine's, and an offset that tests move forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use runtime_core::clock::Clock;
use tokio::sync::watch;

use super::time::truncated;

/// The time as the embedded Taskcluster sees it.
///
/// Give it to the worker under test, and [`advance`](super::Taskcluster::advance) moves both.
#[derive(Clone, Debug)]
pub struct TaskclusterClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How far the clock is ahead, in milliseconds.
    ahead: AtomicI64,
    moved: watch::Sender<()>,
}

impl TaskclusterClock {
    pub(super) fn new() -> Self {
        let shared = Shared {
            ahead: AtomicI64::new(0),
            moved: watch::Sender::new(()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The time now, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.shared.ahead.load(Ordering::Acquire));
        let now = Timestamp::now();
        truncated(now.checked_add(ahead).unwrap_or(now))
    }

    /// Moves the clock forward and wakes those who wait for it.
    pub(super) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.ahead.fetch_add(by, Ordering::AcqRel);
        self.shared.moved.send_replace(());
    }

    /// Waits until the clock has reached `deadline`, by itself or because it was moved.
    async fn reach(&self, deadline: Timestamp) {
        let mut moved = self.shared.moved.subscribe();
        while let Ok(rest @ 1..) = u64::try_from(deadline.duration_since(self.now()).as_millis()) {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(rest)) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

#[async_trait]
impl Clock for TaskclusterClock {
    fn now(&self) -> Timestamp {
        TaskclusterClock::now(self)
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        self.reach(deadline).await;
    }
}
