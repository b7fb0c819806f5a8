//! A clock for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Clock, duration_until};

/// A clock for tests: the system time plus an offset.
///
/// Clones share the offset.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
/// use runtime_core::clock::{Clock as _, MockClock};
///
/// let clock = MockClock::new();
/// let tomorrow = clock.now() + Duration::from_secs(86_400);
/// clock.advance(Duration::from_secs(86_400));
/// clock.sleep_until(tomorrow).await; // returns at once
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MockClock {
    offset: Arc<Offset>,
}

#[derive(Debug, Default)]
struct Offset {
    millis: AtomicI64,
    changed: watch::Sender<()>,
}

impl MockClock {
    /// Creates a clock that shows the system time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the current time in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset.millis.load(Ordering::Acquire));
        let now = Timestamp::now();
        let now = now.checked_add(offset).unwrap_or(Timestamp::MAX);
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Moves the clock forward and wakes the sleepers whose deadline has passed.
    pub fn advance(&self, by: Duration) {
        self.step(millis(by));
    }

    /// Sets the clock back, as an operator or a time service may do.
    pub fn set_back(&self, by: Duration) {
        self.step(-millis(by));
    }

    fn step(&self, millis: i64) {
        let add = |offset: i64| Some(offset.saturating_add(millis));
        // Never fails: `add` always returns a value.
        let _ = self
            .offset
            .millis
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        self.offset.changed.send_replace(());
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait]
impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        MockClock::now(self)
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        // Subscribed before the first look at the time: an `advance` in between is not lost.
        let mut changed = self.offset.changed.subscribe();
        while let Some(remaining) = duration_until(self.now(), deadline) {
            // Both a change and the timeout lead to the next look at the time.
            let _ = timeout(remaining, changed.changed()).await;
        }
    }
}
