//! The `Retry-After` header.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use runtime_core::clock::duration_until;

/// The longest delay that [`retry_after`] returns.
///
/// Every retry budget in the workspace is far shorter, so the bound does not change the number of retries. A bounded
/// delay can be added to a time without an overflow check.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the delay that a server asks for with `Retry-After`, at most [`MAX_RETRY_AFTER`].
///
/// The value is a number of seconds or an HTTP date ([RFC 9110, section 10.2.3]). Obsolete date formats are not
/// accepted. A date in the past means no delay. Returns `None` if the header is missing or malformed.
///
/// [RFC 9110, section 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110.html#name-retry-after
///
/// ```
/// use std::time::Duration;
/// use http::{HeaderMap, header::RETRY_AFTER};
/// use runtime_core::Timestamp;
///
/// let headers = HeaderMap::from_iter([(RETRY_AFTER, "120".parse()?)]);
/// let delay = runtime_http::retry_after(&headers, Timestamp::now());
/// assert_eq!(delay, Some(Duration::from_secs(120)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = seconds(value).or_else(|| until_date(value, now))?;
    Some(delay.min(MAX_RETRY_AFTER))
}

fn seconds(value: &str) -> Option<Duration> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // A number with too many digits is a very long delay, not a malformed one.
    is_number.then(|| Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

fn until_date(value: &str, now: Timestamp) -> Option<Duration> {
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(duration_until(now, date).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Duration> {
        let now = "2026-11-24T10:00:00Z".parse().expect("a time");
        let value = value.parse().expect("a header value");
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now)
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(parse(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
    }

    #[test]
    fn long_delays_saturate() {
        for value in [
            "86401",
            "18446744073709551615",
            "99999999999999999999",
            "Tue, 31 Dec 2999 23:59:59 GMT",
        ] {
            assert_eq!(parse(value), Some(MAX_RETRY_AFTER), "{value}");
        }
    }

    #[test]
    fn date_becomes_a_delay() {
        let delay = parse("Tue, 24 Nov 2026 10:00:30 GMT");
        assert_eq!(delay, Some(Duration::from_secs(30)));
    }

    #[test]
    fn past_date_means_no_delay() {
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn malformed_value_is_ignored() {
        for value in ["", "soon", "-1", "+1", "1.5"] {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}
