//! Time that has passed, by the wall clock and by the monotonic clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Clock, duration_until};

/// Measures elapsed time with two clocks: the longer of the two times counts.
///
/// Neither clock alone is sufficient for the deadline of a service. The monotonic clock stops while the machine
/// is suspended, and the wall clock may be set back. With both clocks, the end of a deadline is never detected
/// late. It is detected early if the wall clock is set forward. A wall clock that is wrong by a constant has no
/// effect.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use runtime_core::clock::{MockClock, Stopwatch};
///
/// let clock = MockClock::new();
/// let watch = Stopwatch::start(Arc::new(clock.clone()));
/// clock.advance(Duration::from_secs(3600)); // the machine was suspended
/// watch.wait(Duration::from_secs(3600)).await; // returns at once
/// assert!(watch.elapsed() >= Duration::from_secs(3600));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stopwatch {
    clock: Arc<dyn Clock>,
    wall: Timestamp,
    monotonic: Instant,
}

impl Stopwatch {
    /// Starts a measurement.
    #[must_use]
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        Self {
            wall: clock.now(),
            monotonic: Instant::now(),
            clock,
        }
    }

    /// Returns the time since the start, the longer of the two times.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let wall = duration_until(self.wall, self.clock.now()).unwrap_or_default();
        wall.max(self.monotonic.elapsed())
    }

    /// Waits until `duration` has passed since the start by one of the two clocks.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait(&self, duration: Duration) {
        let wall = self.wall.checked_add(duration).unwrap_or(Timestamp::MAX);
        tokio::select! {
            () = self.clock.sleep_until(wall) => {}
            // Beyond the range of the clock, tokio sleeps for some decades.
            () = tokio::time::sleep(duration.saturating_sub(self.monotonic.elapsed())) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MockClock;
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[tokio::test(start_paused = true)]
    async fn clock_set_back_does_not_delay() {
        let clock = MockClock::new();
        let watch = Stopwatch::start(Arc::new(clock.clone()));
        clock.set_back(DAY);
        let before = Instant::now();
        watch.wait(Duration::from_secs(60)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(60));
        assert_eq!(watch.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn clock_set_forward_ends_the_wait() {
        let clock = MockClock::new();
        let watch = Stopwatch::start(Arc::new(clock.clone()));
        let before = Instant::now();
        clock.advance(DAY);
        watch.wait(DAY).await;
        assert!(before.elapsed() < DAY, "{:?}", before.elapsed());
        assert!(watch.elapsed() >= DAY);
    }

    #[tokio::test(start_paused = true)]
    async fn longest_duration_does_not_overflow() {
        let watch = Stopwatch::start(Arc::new(MockClock::new()));
        let wait = tokio::time::timeout(DAY, watch.wait(Duration::MAX));
        assert!(wait.await.is_err());
    }
}
