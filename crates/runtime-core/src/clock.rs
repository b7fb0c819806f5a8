//! The clock port: wall-clock time that tests can control.

mod mock;
pub(crate) mod saturating;
mod stopwatch;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use self::mock::MockClock;
pub use self::saturating::{
    deserialize_optional_timestamp, deserialize_timestamp, instant_after, parse_timestamp, scaled,
    ticks, timestamp_after, timestamp_before,
};
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
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Maximum length of a single sleep. It bounds the delay until a step of the clock is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Sleeps in steps of at most 5 s. A single long sleep uses the monotonic clock, which would miss a
    /// suspended machine or a changed wall clock.
    async fn sleep_until(&self, deadline: Timestamp) {
        sleep_in_steps(deadline, Timestamp::now).await;
    }
}

async fn sleep_in_steps(deadline: Timestamp, now: impl Fn() -> Timestamp) {
    while let Some(remaining) = duration_until(now(), deadline) {
        tokio::time::sleep(remaining.min(MAX_SLEEP)).await;
    }
}

/// Returns the time from `now` to `then`, or `None` if `then` is not in the future.
#[must_use]
pub fn duration_until(now: Timestamp, then: Timestamp) -> Option<Duration> {
    Duration::try_from(then.duration_since(now))
        .ok()
        .filter(|remaining| !remaining.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn clock_step_is_noticed_within_one_sleep() {
        let (began, start) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let hour = Duration::from_secs(3600);
        // One second after the start, the clock is set forward by an hour.
        let now = || match began.elapsed() {
            passed if passed < Duration::from_secs(1) => start + passed,
            passed => start + passed + hour,
        };
        sleep_in_steps(start + hour, now).await;
        assert_eq!(began.elapsed(), MAX_SLEEP);
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_ends_at_the_deadline() {
        let (began, start) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let wanted = Duration::from_secs(12);
        sleep_in_steps(start + wanted, || start + began.elapsed()).await;
        assert_eq!(began.elapsed(), wanted);
    }
}
