//! A clock that tests turn: the machine's, and an offset that they move forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use runtime_core::clock::Clock;
use tokio::sync::watch;

/// The time of the machine, until a test moves it forward. Clones are the same clock.
///
/// Give it to the code under test. That of the embedded Taskcluster is its `clock()`, which moves the services
/// as well.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
/// use runtime_core::clock::Clock as _;
/// use runtime_mocks::MockClock;
///
/// let clock = MockClock::new();
/// let tomorrow = clock.now() + Duration::from_secs(86_400);
/// clock.advance(Duration::from_secs(86_400));
/// clock.sleep_until(tomorrow).await; // returns at once
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MockClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How far the clock is ahead, in milliseconds.
    ahead: AtomicI64,
    moved: watch::Sender<()>,
}

impl MockClock {
    /// Makes a clock that goes with the machine's.
    #[must_use]
    pub fn new() -> Self {
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
        let now = now.checked_add(ahead).unwrap_or(now);
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Moves the clock forward and wakes those who wait for it.
    pub fn advance(&self, by: Duration) {
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

impl Default for MockClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        MockClock::now(self)
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        self.reach(deadline).await;
    }
}
