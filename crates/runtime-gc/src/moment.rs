//! Points in time that fit into one atomic.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

/// Nanoseconds since this process first asked; negative for what lies before.
///
/// Resources that are adopted at start were last used before the process began, which a
/// [`std::time::Instant`] cannot express on every platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

impl Moment {
    pub(crate) fn now() -> Self {
        let start = *START;
        let now = Instant::now().into_std();
        match now.checked_duration_since(start) {
            Some(after) => Self(nanoseconds(after)),
            None => Self(-nanoseconds(start - now)),
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
}
