//! Timestamps in the formats of the services.

use std::time::Duration;

use jiff::Timestamp;
use runtime_core::clock::parse_timestamp;
pub(crate) use runtime_core::clock::{timestamp_after as after, timestamp_before as before};
use serde::Serializer;

/// Formats a timestamp with three digits and `Z`, the format of nearly all responses.
pub(crate) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Formats a timestamp with an offset and no trailing zeros: the `takenUntil` of `claimWork`.
pub(crate) fn offset(at: Timestamp) -> String {
    format!("{}+00:00", at.to_string().trim_end_matches('Z'))
}

/// Parses an RFC 3339 timestamp, saturates it and truncates it to milliseconds.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    parse_timestamp(text).ok().map(truncated)
}

/// Truncates a timestamp to milliseconds.
pub(crate) fn truncated(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Returns the absolute difference of two timestamps.
pub(crate) fn distance(one: Timestamp, other: Timestamp) -> Duration {
    one.duration_since(other).unsigned_abs()
}

/// Serializes a timestamp in the format of [`millis`].
pub(crate) fn as_millis<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

/// Serializes an optional timestamp in the format of [`millis`].
pub(crate) fn as_optional_millis<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => as_millis(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_the_formats_of_the_queue() {
        let at = parse("2026-11-24T17:55:14.250Z").unwrap();
        assert_eq!(millis(at), "2026-11-24T17:55:14.250Z");
        assert_eq!(offset(at), "2026-11-24T17:55:14.25+00:00");
    }

    #[test]
    fn offsets_are_parsed() {
        assert_eq!(
            parse("2026-11-24T18:55:14.250+01:00"),
            parse("2026-11-24T17:55:14.2501Z")
        );
    }
}
