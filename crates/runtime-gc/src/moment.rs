//! Points in time that fit into one atomic.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nanoseconds since this process first asked; negative for what lies before.
///
/// Resources that are adopted at start were last used before the process began, which an
/// [`Instant`] cannot express on every platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

static START: LazyLock<Start> = LazyLock::new(|| Start {
    precise: Instant::now(),
    coarse: coarse::now(),
});

/// The same point in time on both clocks.
struct Start {
    precise: Instant,
    coarse: Option<i64>,
}

/// Whether tokio's clock was ever seen to be another than the system's, which it is when a test has paused it.
static IS_PAUSABLE: AtomicBool = AtomicBool::new(false);

impl Moment {
    /// Now, by tokio's clock.
    pub(crate) fn now() -> Self {
        let before = Instant::now();
        let now = tokio::time::Instant::now().into_std();
        // Between two looks at the clock that it stands for; one that is paused stands still.
        if now < before || now > Instant::now() {
            IS_PAUSABLE.store(true, Ordering::Relaxed);
        }
        Self::at(now)
    }

    /// Now, to a few milliseconds, for a fraction of the time that the exact answer takes.
    ///
    /// It is the exact answer where there is no such clock, and in tests that move the clock: they have paused
    /// it before they make a resource, which asks for the exact time.
    #[inline]
    pub(crate) fn nearly_now() -> Self {
        if !IS_PAUSABLE.load(Ordering::Relaxed)
            && let Some(start) = START.coarse
            && let Some(now) = coarse::now()
        {
            return Self(now - start);
        }
        Self::now()
    }

    fn at(time: Instant) -> Self {
        let start = START.precise;
        match time.checked_duration_since(start) {
            Some(after) => Self(nanoseconds(after)),
            None => Self(-nanoseconds(start - time)),
        }
    }

    pub(crate) fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(by)))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The system's clock that moves a few hundred times a second.
mod coarse {
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
    fn time_before_the_start_is_kept() {
        let now = Moment::now();
        let long_ago = now.earlier(Duration::from_secs(365 * 86_400));
        assert!(long_ago < now);
        assert_eq!(now.since(long_ago), Duration::from_secs(365 * 86_400));
        assert_eq!(long_ago.since(now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_a_test_moves_is_followed() {
        let before = Moment::now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(
            Moment::nearly_now().since(before),
            Duration::from_secs(3600)
        );
    }
}
