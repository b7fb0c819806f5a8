//! Arithmetic on times that saturates instead of overflowing.

use std::ops::Add;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::time::Interval;

/// The longest delay that [`instant_after`] adds. No process waits longer.
const MAX_DELAY: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The shortest period of [`ticks`].
const MIN_PERIOD: Duration = Duration::from_millis(1);

/// Returns the instant `delay` after `start`, and 30 years after it for a longer delay.
///
/// `start + delay` panics if the sum overflows, and a delay from a header, a setting or a task may be
/// [`Duration::MAX`]. `I` is an `Instant` of tokio or of the standard library, or a `SystemTime`.
///
/// ```
/// # use std::time::{Duration, Instant};
/// use runtime_core::clock::instant_after;
///
/// let start = Instant::now();
/// assert_eq!(instant_after(start, Duration::from_secs(5)), start + Duration::from_secs(5));
/// assert!(instant_after(start, Duration::MAX) > start + Duration::from_secs(86_400 * 365));
/// ```
pub fn instant_after<I: Add<Duration, Output = I>>(start: I, delay: Duration) -> I {
    start + delay.min(MAX_DELAY)
}

/// Returns the time `delay` after `start`, at most [`Timestamp::MAX`].
#[must_use]
pub fn timestamp_after(start: Timestamp, delay: Duration) -> Timestamp {
    start.checked_add(signed(delay)).unwrap_or(Timestamp::MAX)
}

/// Returns the time `delay` before `start`, at least [`Timestamp::MIN`].
#[must_use]
pub fn timestamp_before(start: Timestamp, delay: Duration) -> Timestamp {
    start.checked_sub(signed(delay)).unwrap_or(Timestamp::MIN)
}

/// Returns `duration` times `factor`, at most [`Duration::MAX`]; zero if `factor` is negative.
///
/// [`Duration::mul_f64`] panics in both cases.
#[must_use]
pub fn scaled(duration: Duration, factor: f64) -> Duration {
    let seconds = duration.as_secs_f64() * factor.max(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Returns an interval with a period of at least a millisecond. Its first tick is immediate.
///
/// [`tokio::time::interval`] panics if the period is zero, as a setting may be.
#[must_use]
pub fn ticks(period: Duration) -> Interval {
    tokio::time::interval(period.max(MIN_PERIOD))
}

/// Parses an RFC 3339 time. A time out of the range of [`Timestamp`] becomes [`Timestamp::MAX`] or
/// [`Timestamp::MIN`].
///
/// The author of a task may choose an expiry such as `9999-12-31T23:59:59Z`, which is out of range, and services
/// accept years beyond 9999 with a sign and six digits.
///
/// # Errors
///
/// A [`jiff::Error`] if the text is not a time.
///
/// ```
/// use runtime_core::Timestamp;
/// use runtime_core::clock::parse_timestamp;
///
/// assert_eq!(parse_timestamp("9999-12-31T23:59:59Z")?, Timestamp::MAX);
/// assert_eq!(parse_timestamp("2026-11-24T17:55:14Z")?, "2026-11-24T17:55:14Z".parse()?);
/// assert!(parse_timestamp("tomorrow").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse_timestamp(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse()
        .or_else(|error| nearest_in_range(text).ok_or(error))
}

/// Deserializes an RFC 3339 time like [`parse_timestamp`], for `#[serde(deserialize_with = "…")]`.
///
/// # Errors
///
/// The error of the deserializer, or if the text is not a time.
pub fn deserialize_timestamp<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Timestamp, D::Error> {
    SaturatedTimestamp::deserialize(deserializer).map(|SaturatedTimestamp(time)| time)
}

/// Deserializes an optional RFC 3339 time like [`parse_timestamp`], for `#[serde(default, deserialize_with = "…")]`.
///
/// # Errors
///
/// The error of the deserializer, or if the text is not a time.
pub fn deserialize_optional_timestamp<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let time = Option::<SaturatedTimestamp>::deserialize(deserializer)?;
    Ok(time.map(|SaturatedTimestamp(time)| time))
}

/// A time that is deserialized with [`parse_timestamp`].
#[derive(Clone, Copy)]
pub(crate) struct SaturatedTimestamp(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for SaturatedTimestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_timestamp(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Returns the nearest bound of the range if the text is a valid time out of range, otherwise `None`.
fn nearest_in_range(text: &str) -> Option<Timestamp> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (year, rest) = unsigned.split_at(unsigned.find('-')?);
    let year: u32 = year.parse().ok()?;
    // With a year in range, only a text that is not a time still fails. 2000 is a leap year.
    let _: Timestamp = format!("2000{rest}").parse().ok()?;
    (year >= 9999).then_some(if text.starts_with('-') {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn instants_saturate() {
        let start = Instant::now();
        assert_eq!(instant_after(start, Duration::ZERO), start);
        assert_eq!(instant_after(start, SECOND), start + SECOND);
        assert_eq!(instant_after(start, Duration::MAX), start + MAX_DELAY);
    }

    #[test]
    fn timestamps_saturate() {
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(timestamp_after(start, Duration::ZERO), start);
        assert_eq!(timestamp_after(start, SECOND).as_second(), 1);
        assert_eq!(timestamp_before(start, SECOND).as_second(), -1);
        assert_eq!(timestamp_after(start, Duration::MAX), Timestamp::MAX);
        assert_eq!(timestamp_before(start, Duration::MAX), Timestamp::MIN);
    }

    #[test]
    fn factors_saturate() {
        assert_eq!(scaled(SECOND, 1.5), Duration::from_millis(1500));
        assert_eq!(scaled(Duration::MAX, 1.1), Duration::MAX);
        assert_eq!(scaled(Duration::MAX, 0.0), Duration::ZERO);
        assert_eq!(scaled(SECOND, -1.0), Duration::ZERO);
        assert_eq!(scaled(SECOND, f64::NAN), Duration::ZERO);
    }

    #[test]
    fn times_out_of_range_become_the_nearest_bound() {
        for text in [
            "9999-12-31T23:59:59.999Z",
            "+010000-01-01T00:00:00.000Z",
            "+275760-09-13T00:00:00.000Z",
        ] {
            assert_eq!(parse_timestamp(text).expect(text), Timestamp::MAX);
        }
        let ancient = parse_timestamp("-271821-04-20T00:00:00.000Z");
        assert_eq!(ancient.expect("a time"), Timestamp::MIN);
    }

    #[test]
    fn other_texts_are_errors() {
        for text in [
            "",
            "-",
            "9999",
            "9999-99-99T00:00:00Z",
            "99999999999-01-01T00:00:00Z",
            "é-",
        ] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }
}
