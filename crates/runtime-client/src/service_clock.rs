//! The clock of the services, as their responses show it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, DATE};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The smallest difference of the clocks that counts, in seconds. `Date` has whole seconds, and responses take time.
const MIN_OFFSET: u64 = 60;

/// The difference between the clock of the services and that of this machine.
///
/// Services refuse a signature whose time differs from theirs by more than 15 minutes. A machine whose clock is set while
/// a task runs would lose the claim, although its worker reclaims in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceClock {
    /// Seconds that the services are ahead. Clones share it.
    offset: Arc<AtomicI64>,
}

impl ServiceClock {
    /// Learns the time of the services from a response that has arrived at `now`.
    pub(crate) fn observe(&self, headers: &HeaderMap, now: Timestamp) {
        // A response from a cache has the time at which it was stored.
        if headers.contains_key(AGE) {
            return;
        }
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        let Some(date) = date else {
            return;
        };
        let ahead = date.as_second().saturating_sub(now.as_second());
        // The services tolerate a difference of minutes. Correcting smaller ones would only make
        // signatures depend on the latency of responses.
        let offset = if ahead.unsigned_abs() < MIN_OFFSET {
            0
        } else {
            ahead
        };
        // `Relaxed`: a call that signs with the previous value gets a 401 and signs again.
        let previous = self.offset.swap(offset, Ordering::Relaxed);
        // The difference varies by some seconds with the duration of the responses.
        if previous.abs_diff(offset) >= MIN_OFFSET {
            tracing::warn!(
                seconds_ahead = -offset,
                "the clock of this machine differs from that of the services; signing with their time"
            );
        }
    }

    /// Returns the seconds that the services are ahead.
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Returns the current time of the services.
    pub(crate) fn now(&self) -> SystemTime {
        let (offset, now) = (self.offset(), SystemTime::now());
        let distance = Duration::from_secs(offset.unsigned_abs());
        let corrected = if offset < 0 {
            now.checked_sub(distance)
        } else {
            now.checked_add(distance)
        };
        corrected.unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_differences_count() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().expect("a time");
        let clock = ServiceClock::default();
        for (date, expected) in [
            ("Tue, 24 Nov 2026 11:00:00 GMT", 3600),
            ("invalid", 3600),
            ("Mon, 23 Nov 2026 10:00:00 GMT", -24 * 3600),
            ("Tue, 24 Nov 2026 10:00:59 GMT", 0),
        ] {
            let headers = HeaderMap::from_iter([(DATE, date.parse().expect("a value"))]);
            clock.observe(&headers, now);
            assert_eq!(clock.offset(), expected, "{date}");
        }
    }

    #[test]
    fn cached_response_does_not_count() {
        let clock = ServiceClock::default();
        let date = "Tue, 24 Nov 2020 10:00:00 GMT".parse().expect("a value");
        let age = "60".parse().expect("a value");
        let headers = HeaderMap::from_iter([(DATE, date), (AGE, age)]);
        clock.observe(&headers, Timestamp::now());
        assert_eq!(clock.offset(), 0);
    }
}
