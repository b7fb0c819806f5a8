//! Which part of a log a client asks for.

use std::ops::RangeInclusive;

use http::{HeaderMap, header};

/// The largest integer that every client can hold, for the end of what has no end yet (RFC 8673).
pub(super) const NO_END: u64 = (1 << 53) - 1;

/// A part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything, since the client asked for no part or for one that makes no sense.
    All,
    /// From the first to the last offset, both included.
    Range { first: u64, last: u64 },
    /// Nothing of it was ever written.
    Unsatisfiable,
}

impl Part {
    /// Reads the request's `Range`, for a log that has `len` bytes at this time.
    ///
    /// What lies between `len` and the last offset is part of it once it is written. A range that
    /// starts at `len` is what a client asks for that has everything so far.
    pub(super) fn of(headers: &HeaderMap, len: u64) -> Self {
        // A condition that holds for a certain version of the log never holds, since there are no versions.
        if headers.contains_key(header::IF_RANGE) {
            return Self::All;
        }
        let Some(range) = headers
            .get(header::RANGE)
            .and_then(|value| parse(value, len))
        else {
            return Self::All;
        };
        if *range.start() > len {
            return Self::Unsatisfiable;
        }
        Self::Range {
            first: *range.start(),
            last: *range.end(),
        }
    }
}

/// Several ranges, other units and mistakes give `None`, which a server treats as no range at all.
fn parse(value: &header::HeaderValue, len: u64) -> Option<RangeInclusive<u64>> {
    let (unit, range) = value.to_str().ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(len.saturating_sub(suffix)..=NO_END);
    }
    let first = number(first)?;
    let last = match last {
        "" => NO_END,
        last => number(last)?.min(NO_END),
    };
    (first <= last).then_some(first..=last)
}

/// Digits only: the parser of `u64` also takes a sign. What does not fit is beyond every log.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Part) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, value.parse().expect("a header value"));
        assert_eq!(Part::of(&headers, 100), expected, "{value}");
    }

    fn range(first: u64, last: u64) -> Part {
        Part::Range { first, last }
    }

    #[test]
    fn open_ranges_have_no_end_yet() {
        check("bytes=0-", range(0, NO_END));
        check("Bytes=100-", range(100, NO_END));
        check("bytes=90-99999999999999999999", range(90, NO_END));
    }

    #[test]
    fn closed_ranges_may_reach_into_the_future() {
        check("bytes=10-19", range(10, 19));
        check("bytes=10-500", range(10, 500));
    }

    #[test]
    fn a_suffix_counts_from_what_is_there() {
        check("bytes=-30", range(70, NO_END));
        check("bytes=-3000", range(0, NO_END));
    }

    #[test]
    fn a_start_past_the_end_cannot_be_satisfied() {
        check("bytes=101-", Part::Unsatisfiable);
        check("bytes=101-200", Part::Unsatisfiable);
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        for value in [
            "bytes=",
            "bytes=a-",
            "bytes=5-4",
            "bytes=1-2,4-5",
            "lines=1-",
            "bytes=+1-",
            "bytes=-",
        ] {
            check(value, Part::All);
        }
    }

    #[test]
    fn a_condition_turns_the_range_off() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=1-".parse().expect("a header value"));
        headers.insert(header::IF_RANGE, "\"v1\"".parse().expect("a header value"));
        assert_eq!(Part::of(&headers, 100), Part::All);
    }
}
