//! Error responses, whether of a service or of a proxy in front of it.

use std::time::Duration;

use http::header::DATE;
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use runtime_core::clock::duration_until;
use runtime_core::{ServiceError, Timestamp};
use runtime_http::excerpt;
use serde::Deserialize;

/// The code of an error that has no code.
const UNKNOWN_CODE: &str = "unknown";

/// The longest message of a service. Those that contain the status of a task are the longest.
const MAX_MESSAGE_CHARS: usize = 16 << 10;

/// The difference between two clocks up to which it is not mentioned. Certificates allow five minutes.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// Converts an error response into a [`ServiceError`].
///
/// A service sends JSON with `code` and `message`. A proxy may send an HTML page or an empty body.
pub(super) fn parse(
    api_method: &'static str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> ServiceError {
    let (code, mut message) = match ErrorBody::parse(body) {
        Some(ErrorBody {
            code: Some(code),
            message: Some(message),
            ..
        }) => (printable(&code), printable(without_trailer(&message))),
        Some(ErrorBody {
            error: Some(error), ..
        }) => (UNKNOWN_CODE.to_owned(), printable(&error)),
        _ => (UNKNOWN_CODE.to_owned(), foreign_message(status, body)),
    };
    if status == StatusCode::UNAUTHORIZED {
        message.extend(clock_hint(headers, now));
    }
    let mut error = ServiceError::new(api_method, status.as_u16(), code, message);
    error.request_id = header_text(headers, "x-for-request-id");
    error.trace_id = header_text(headers, "x-for-trace-id");
    error
}

/// The JSON bodies that Taskcluster itself sends. The request that they repeat is skipped, since it may be nested too
/// deeply to be read.
#[derive(Deserialize)]
struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    /// Instead of the others for a path that no service has.
    error: Option<String>,
}

impl ErrorBody {
    fn parse(body: &[u8]) -> Option<Self> {
        // serde would also read the fields from an array.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        is_object
            .then(|| serde_json::from_slice(body).ok())
            .flatten()
    }
}

/// Replaces control characters, which a terminal would interpret, and limits the length.
fn printable(text: &str) -> String {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    let replace = |c| {
        if is_control(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().take(MAX_MESSAGE_CHARS).map(replace).collect()
}

/// Describes the difference between the clocks of this machine and of the service, if it is so large that it may be the
/// reason for refused credentials.
fn clock_hint(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let date = header_text(headers, DATE.as_str())?;
    let date = DateTimeParser::new().parse_timestamp(&date).ok()?;
    let (difference, direction) = match duration_until(now, date) {
        Some(behind) => (behind, "behind"),
        None => (duration_until(date, now)?, "ahead of"),
    };
    let seconds = difference.as_secs();
    (difference > MAX_CLOCK_DIFFERENCE).then(|| {
        format!("; the clock of this machine is {seconds} s {direction} that of the service")
    })
}

/// Removes the trailer of a message, which repeats API method, code, status and time.
fn without_trailer(message: &str) -> &str {
    message
        .split_once("\n\n---\n")
        .map_or(message, |(message, _)| message)
}

fn foreign_message(status: StatusCode, body: &[u8]) -> String {
    let reason = status.canonical_reason().unwrap_or("no reason given");
    match excerpt(body) {
        text if text.is_empty() => reason.to_owned(),
        text => format!("{reason}; not an error of a Taskcluster service: {text}"),
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(status: u16, body: &[u8]) -> ServiceError {
        let status = StatusCode::from_u16(status).expect("a status");
        let now = Timestamp::UNIX_EPOCH;
        parse("queue.status", status, &HeaderMap::new(), body, now)
    }

    #[test]
    fn message_trailer_is_removed() {
        let body = br#"{"code":"RequestConflict","message":"Run 0 is resolved\n\n---\n\n* method:     reclaimTask","requestInfo":{}}"#;
        let error = parsed(409, body);
        assert_eq!(
            (&*error.code, &*error.message),
            ("RequestConflict", "Run 0 is resolved")
        );
    }

    #[test]
    fn escapes_are_neutralised() {
        let body = br#"{"code":"Odd\u001b[2J","message":"a\nb\u001b]0;title\u0007\u009b31m\r"}"#;
        let error = parsed(400, body);
        assert_eq!(error.code, "Odd\u{fffd}[2J");
        assert_eq!(
            error.message,
            "a\nb\u{fffd}]0;title\u{fffd}\u{fffd}31m\u{fffd}"
        );
        let long = format!(r#"{{"code":"c","message":"{}"}}"#, "x".repeat(100_000));
        assert_eq!(
            parsed(400, long.as_bytes()).message.len(),
            MAX_MESSAGE_CHARS
        );
    }

    #[test]
    fn nested_request_does_not_hide_the_error() {
        let nested = "[".repeat(500) + &"]".repeat(500);
        let body = format!(r#"{{"requestInfo":{{"payload":{nested}}},"code":"c","message":"m"}}"#);
        assert_eq!(parsed(400, body.as_bytes()).code, "c");
    }

    #[test]
    fn refused_credentials_mention_a_wrong_clock() {
        let date = "Tue, 24 Nov 2026 10:00:00 GMT";
        let headers = HeaderMap::from_iter([(DATE, date.parse().expect("a header value"))]);
        let message = |status, now: &str| {
            let now = now.parse().expect("a time");
            parse("queue.status", status, &headers, b"", now).message
        };
        let refused = StatusCode::UNAUTHORIZED;
        for (now, hint) in [
            (
                "2026-11-24T09:00:00Z",
                "; the clock of this machine is 3600 s behind that of the service",
            ),
            (
                "2026-11-24T11:00:00Z",
                "; the clock of this machine is 3600 s ahead of that of the service",
            ),
            ("2026-11-24T10:00:59Z", "Unauthorized"),
        ] {
            assert!(
                message(refused, now).ends_with(hint),
                "{}",
                message(refused, now)
            );
        }
        assert_eq!(
            message(StatusCode::NOT_FOUND, "2026-11-24T09:00:00Z"),
            "Not Found"
        );
    }

    #[test]
    fn unknown_route_keeps_its_message() {
        assert_eq!(
            parsed(404, br#"{"error": "Not found"}"#).message,
            "Not found"
        );
    }

    #[test]
    fn html_page_becomes_one_line() {
        let error = parsed(
            502,
            b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>",
        );
        assert_eq!(error.code, "unknown");
        assert!(
            error
                .message
                .contains("Bad Gateway; not an error of a Taskcluster service: <html> <head>")
        );
        assert!(!error.message.contains('\n'));
    }

    #[test]
    fn array_is_no_error_of_a_service() {
        let error = parsed(500, br#"["", "message", null]"#);
        assert_eq!(error.code, UNKNOWN_CODE);
    }

    #[test]
    fn empty_body_leaves_the_status_reason() {
        assert_eq!(parsed(503, b"").message, "Service Unavailable");
    }

    proptest! {
        #[test]
        fn foreign_messages_are_short(status in 300u16..600, body in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let error = parsed(status, &body);
            prop_assert_eq!(error.status, status);
            // An excerpt of 300 characters, and the text in front of it.
            prop_assert!(error.message.chars().count() < 300 + 120 || error.code != UNKNOWN_CODE);
        }

        #[test]
        fn any_json_is_parsed(body in json()) {
            let error = parsed(500, body.to_string().as_bytes());
            prop_assert!(!error.code.is_empty() || body["code"] == "");
        }
    }

    /// Returns JSON that resembles an error body.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::<serde_json::Value>::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let key = prop_oneof![
                Just("code".to_owned()),
                Just("message".to_owned()),
                Just("error".to_owned()),
                ".*"
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map(key, inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
