//! Error responses, whether of a service or of a proxy in front of it.

use http::{HeaderMap, StatusCode};
use runtime_core::ServiceError;
use runtime_http::excerpt;
use serde::Deserialize;

/// The code of an error that has no code.
const UNKNOWN_CODE: &str = "unknown";

/// Converts an error response into a [`ServiceError`].
///
/// A service sends JSON with `code` and `message`. A proxy may send an HTML page or an empty body.
pub(super) fn parse(
    api_method: &'static str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> ServiceError {
    let (code, message) = match serde_json::from_slice(body) {
        Ok(ErrorBody::Service { code, message }) => (code, without_trailer(&message).to_owned()),
        Ok(ErrorBody::UnknownRoute { error }) => (UNKNOWN_CODE.to_owned(), error),
        Err(_) => (UNKNOWN_CODE.to_owned(), foreign_message(status, body)),
    };
    let mut error = ServiceError::new(api_method, status.as_u16(), code, message);
    error.request_id = header_text(headers, "x-for-request-id");
    error.trace_id = header_text(headers, "x-for-trace-id");
    error
}

/// The JSON bodies that Taskcluster itself sends.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorBody {
    Service {
        code: String,
        message: String,
    },
    /// Sent for a path that no service has.
    UnknownRoute {
        error: String,
    },
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
        parse("queue.status", status, &HeaderMap::new(), body)
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
