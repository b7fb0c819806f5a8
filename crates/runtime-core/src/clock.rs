//! Time, so that tests can control it.

mod mock;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use self::mock::MockClock;

/// Tells the time of day and waits for a moment of it.
///
/// What the queue knows (claims, credentials, deadlines) is in wall-clock time and goes through
/// this trait. Intervals use tokio's monotonic time, which tests can pause.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits until [`now`](Self::now) has reached `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest time that passes before a jump of the wall clock is noticed.
const LONGEST_NAP: Duration = Duration::from_secs(5);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Sleeps in short naps, because a monotonic timer sleeps through a suspended machine and never
    /// hears of a clock that was set.
    async fn sleep_until(&self, deadline: Timestamp) {
        nap_until(deadline, Timestamp::now).await;
    }
}

async fn nap_until(deadline: Timestamp, now: impl Fn() -> Timestamp) {
    while let Some(rest) = until(now(), deadline) {
        tokio::time::sleep(rest.min(LONGEST_NAP)).await;
    }
}

/// The time from `now` to `then`, or `None` if `then` has come.
#[must_use]
pub fn until(now: Timestamp, then: Timestamp) -> Option<Duration> {
    Duration::try_from(then.duration_since(now))
        .ok()
        .filter(|rest| !rest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_is_noticed_within_a_nap() {
        let (began, start) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let hour = Duration::from_secs(3600);
        // A second after the start the clock is set an hour ahead.
        let now = || match began.elapsed() {
            passed if passed < Duration::from_secs(1) => start + passed,
            passed => start + passed + hour,
        };
        nap_until(start + hour, now).await;
        assert_eq!(began.elapsed(), LONGEST_NAP);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_when_its_moment_has_come() {
        let (began, start) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let wanted = Duration::from_secs(12);
        nap_until(start + wanted, || start + began.elapsed()).await;
        assert_eq!(began.elapsed(), wanted);
    }
}
