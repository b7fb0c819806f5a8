//! The byte range that a client requests.

use std::ops::RangeInclusive;

use http::{HeaderMap, header};

/// The last offset of a log without an end yet: the largest integer that every client can represent
/// (RFC 8673).
pub(super) const MAX_OFFSET: u64 = (1 << 53) - 1;

/// The part of a log to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteRange {
    /// The complete log; also for an invalid range.
    All,
    /// From the first to the last offset, both inclusive.
    Range { first: u64, last: u64 },
    /// The range starts after the end of the log.
    Unsatisfiable,
}

impl ByteRange {
    /// Parses the `Range` header for a log of currently `len` bytes.
    ///
    /// A range may include bytes that are not written yet. It may also start at `len`: this is how a client
    /// resumes that has received everything so far.
    pub(super) fn parse(headers: &HeaderMap, len: u64) -> Self {
        // `If-Range` makes the range conditional on an entity tag. A log has none, so the condition is never
        // met, and the complete log is sent.
        if headers.contains_key(header::IF_RANGE) {
            return Self::All;
        }
        let range = headers.get(header::RANGE);
        match range.and_then(|value| parse_value(value, len)) {
            None => Self::All,
            // A start at the very end is satisfiable: the client waits for bytes that do not exist
            // yet.
            Some(range) if *range.start() > len => Self::Unsatisfiable,
            Some(range) => {
                let (first, last) = range.into_inner();
                Self::Range { first, last }
            }
        }
    }
}

/// Parses one range in bytes. Returns `None` for several ranges, other units and syntax errors, which a
/// server has to ignore (RFC 9110).
fn parse_value(value: &header::HeaderValue, len: u64) -> Option<RangeInclusive<u64>> {
    let (unit, range) = value.to_str().ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    if first.is_empty() {
        let suffix_len = parse_number(last)?;
        return Some(len.saturating_sub(suffix_len)..=MAX_OFFSET);
    }
    let first = parse_number(first)?;
    let last = match last {
        "" => MAX_OFFSET,
        last => parse_number(last)?.min(MAX_OFFSET),
    };
    (first <= last).then_some(first..=last)
}

/// Parses digits without a sign, which `u64::from_str` would accept. An overflow is larger than any log.
fn parse_number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: ByteRange) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, value.parse().expect("a header value"));
        assert_eq!(ByteRange::parse(&headers, 100), expected, "{value}");
    }

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange::Range { first, last }
    }

    #[test]
    fn open_range_ends_at_max_offset() {
        check("bytes=0-", range(0, MAX_OFFSET));
        check("Bytes=100-", range(100, MAX_OFFSET));
        check("bytes=90-99999999999999999999", range(90, MAX_OFFSET));
    }

    #[test]
    fn closed_range_may_exceed_the_length() {
        check("bytes=10-19", range(10, 19));
        check("bytes=10-500", range(10, 500));
    }

    #[test]
    fn suffix_counts_from_the_current_end() {
        check("bytes=-30", range(70, MAX_OFFSET));
        check("bytes=-3000", range(0, MAX_OFFSET));
    }

    #[test]
    fn start_after_the_end_is_unsatisfiable() {
        check("bytes=101-", ByteRange::Unsatisfiable);
        check("bytes=101-200", ByteRange::Unsatisfiable);
    }

    #[test]
    fn invalid_range_is_ignored() {
        for value in [
            "bytes=",
            "bytes=a-",
            "bytes=5-4",
            "bytes=1-2,4-5",
            "lines=1-",
            "bytes=+1-",
            "bytes=-",
        ] {
            check(value, ByteRange::All);
        }
    }

    #[test]
    fn if_range_disables_the_range() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=1-".parse().expect("a header value"));
        headers.insert(header::IF_RANGE, "\"v1\"".parse().expect("a header value"));
        assert_eq!(ByteRange::parse(&headers, 100), ByteRange::All);
    }
}
