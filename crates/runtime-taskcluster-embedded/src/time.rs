//! Instants as the services write and read them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serializer;

/// The instant with three digits and `Z`, as the services write it nearly everywhere.
pub(super) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The instant with an offset and without trailing zeros, as `claimWork` writes `takenUntil`.
pub(super) fn offset(at: Timestamp) -> String {
    format!("{}+00:00", at.to_string().trim_end_matches('Z'))
}

/// Reads any RFC 3339 instant and drops what is below a millisecond.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(truncated)
}

/// The same instant without what is below a millisecond.
pub(super) fn truncated(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// `at + by`, or the last instant there is.
pub(super) fn after(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `at - by`, or the first instant there is.
pub(super) fn before(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// How far two instants are apart.
pub(super) fn distance(one: Timestamp, other: Timestamp) -> Duration {
    let apart: SignedDuration = one.duration_since(other);
    apart.unsigned_abs()
}

/// Serializes an instant with [`millis`].
pub(super) fn as_millis<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

/// Serializes an optional instant with [`millis`].
pub(super) fn as_optional_millis<S: Serializer>(
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
    fn the_two_spellings_of_an_instant_are_those_of_the_queue() {
        let at = parse("2026-11-24T17:55:14.250Z").unwrap();
        assert_eq!(millis(at), "2026-11-24T17:55:14.250Z");
        assert_eq!(offset(at), "2026-11-24T17:55:14.25+00:00");
    }

    #[test]
    fn any_offset_is_read() {
        assert_eq!(
            parse("2026-11-24T18:55:14.250+01:00"),
            parse("2026-11-24T17:55:14.2501Z")
        );
    }
}
