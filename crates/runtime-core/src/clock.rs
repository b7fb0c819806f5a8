//! The clock port: wall-clock time that tests can control.

mod mock;
pub(crate) mod saturating;
mod steps;
mod stopwatch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use self::mock::MockClock;
pub use self::saturating::{
    deserialize_optional_timestamp, deserialize_timestamp, instant_after, parse_timestamp, scaled,
    ticks, timestamp_after, timestamp_before,
};
use self::steps::ClockSteps;
pub use self::stopwatch::Stopwatch;

/// A wall clock.
///
/// Claims, credentials and deadlines of the queue are in wall-clock time, which is read through this trait.
/// Intervals use tokio's monotonic time, which tests can pause.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Waits until [`now`](Self::now) has reached `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// The system clock.
///
/// A task that waits for it notices a step of the clock, or a suspended machine, within 5 s. Clones share the checks
/// for that.
#[derive(Clone, Debug, Default)]
pub struct SystemClock {
    steps: Arc<ClockSteps>,
}

impl SystemClock {
    /// Creates the clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        self.steps.sleep_until(deadline, Timestamp::now).await;
    }
}

/// Returns the time from `now` to `then`, or `None` if `then` is not in the future.
#[must_use]
pub fn duration_until(now: Timestamp, then: Timestamp) -> Option<Duration> {
    Duration::try_from(then.duration_since(now))
        .ok()
        .filter(|remaining| !remaining.is_zero())
}
