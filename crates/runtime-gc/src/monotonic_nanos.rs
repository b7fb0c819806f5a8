//! A point in monotonic time that fits into one atomic and is cheap to read.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nanoseconds since the first use of the clock in this process; negative for earlier times.
///
/// Resources adopted at start were last used before the process began, which [`Instant`] cannot express
/// on every platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MonotonicNanos(pub(crate) i64);

static EPOCH: LazyLock<Epoch> = LazyLock::new(|| Epoch {
    precise: Instant::now(),
    coarse: coarse_clock::now(),
});

/// The same point in time on both clocks.
struct Epoch {
    precise: Instant,
    coarse: Option<i64>,
}

/// Set when tokio's clock differs from the system's, which means that a test has paused tokio's clock.
static CLOCK_IS_PAUSED: AtomicBool = AtomicBool::new(false);

impl MonotonicNanos {
    /// Returns the current time of tokio's clock.
    pub(crate) fn now() -> Self {
        let before = Instant::now();
        let now = tokio::time::Instant::now().into_std();
        // An unpaused tokio clock reads the system's clock, so its time lies between two readings of it.
        if now < before || now > Instant::now() {
            CLOCK_IS_PAUSED.store(true, Ordering::Relaxed);
        }
        Self::from_instant(now)
    }

    /// Returns the current time with a resolution of a few milliseconds, for a fraction of the cost of
    /// [`now`](Self::now).
    ///
    /// Releases of resources are too frequent for a precise clock. `CLOCK_MONOTONIC_COARSE` only reads a
    /// variable that the kernel updates at each tick. Falls back to [`now`](Self::now) on systems without
    /// such a clock, and in tests that pause time. Such a test is recognized because it pauses the clock
    /// before it creates a resource, which calls [`now`](Self::now).
    #[inline]
    pub(crate) fn now_coarse() -> Self {
        if !CLOCK_IS_PAUSED.load(Ordering::Relaxed)
            && let Some(epoch) = EPOCH.coarse
            && let Some(now) = coarse_clock::now()
        {
            return Self(now - epoch);
        }
        Self::now()
    }

    fn from_instant(time: Instant) -> Self {
        let epoch = EPOCH.precise;
        match time.checked_duration_since(epoch) {
            Some(after) => Self(nanoseconds(after)),
            None => Self(-nanoseconds(epoch - time)),
        }
    }

    pub(crate) fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(by)))
    }

    /// Returns the time that passed since `earlier`, or zero if it is later.
    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    // 292 years fit.
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The system's monotonic clock with the resolution of a timer tick.
mod coarse_clock {
    #[cfg(target_os = "linux")]
    #[inline]
    pub(super) fn now() -> Option<i64> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        Some(now.tv_sec * 1_000_000_000 + now.tv_nsec)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn now() -> Option<i64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_are_kept() {
        let now = MonotonicNanos::now();
        let long_ago = now.earlier(Duration::from_secs(365 * 86_400));
        assert!(long_ago < now);
        assert_eq!(
            now.duration_since(long_ago),
            Duration::from_secs(365 * 86_400)
        );
        assert_eq!(long_ago.duration_since(now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn paused_clock_is_followed() {
        let before = MonotonicNanos::now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(
            MonotonicNanos::now_coarse().duration_since(before),
            Duration::from_secs(3600)
        );
    }
}
