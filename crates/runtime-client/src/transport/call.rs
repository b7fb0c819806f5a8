//! An API call, before it is signed and sent.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runtime_core::{ApiError, BoxError};
use serde::Serialize;
use url::Url;
use url::form_urlencoded::Serializer;

/// An API call. Holds everything that each attempt needs.
#[derive(Debug)]
pub(crate) struct Call {
    /// The name of the API method, such as `queue.claimWork`.
    pub(crate) api_method: &'static str,
    pub(crate) http_method: Method,
    /// The encoded path and query.
    path: String,
    pub(crate) body: Option<Bytes>,
    pub(crate) idempotence: Idempotence,
}

/// Whether a call may be repeated when the effect of an attempt is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idempotence {
    /// Repeating the call has no further effect.
    Idempotent,
    /// The call is repeated only after an attempt that certainly had no effect.
    NotIdempotent,
    /// The call is sent at once and never repeated: its caller has to know when it was sent.
    SingleAttempt,
}

impl Call {
    /// Creates a call without a body.
    pub(crate) fn new(api_method: &'static str, http_method: Method, path: String) -> Self {
        Self {
            api_method,
            http_method,
            path,
            body: None,
            idempotence: Idempotence::Idempotent,
        }
    }

    /// Creates a call that only reads.
    pub(crate) fn get(api_method: &'static str, path: String) -> Self {
        Self::new(api_method, Method::GET, path)
    }

    /// Creates a call with a JSON body.
    pub(crate) fn with_json(
        api_method: &'static str,
        http_method: Method,
        path: String,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, ApiError> {
        let mut call = Self::new(api_method, http_method, path);
        let body = serde_json::to_vec(body).map_err(|error| call.invalid_request(error))?;
        call.body = Some(body.into());
        Ok(call)
    }

    /// Adds query parameters. A parameter whose value is `None` is omitted.
    pub(crate) fn query(mut self, pairs: &[(&str, Option<&str>)]) -> Self {
        let mut query = Serializer::new(String::new());
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if !query.is_empty() {
            self.path.push('?');
            self.path.push_str(&query);
        }
        self
    }

    /// Marks the call as not idempotent.
    pub(crate) fn not_idempotent(mut self) -> Self {
        self.idempotence = Idempotence::NotIdempotent;
        self
    }

    /// Sets the call to a single attempt.
    pub(crate) fn single_attempt(mut self) -> Self {
        self.idempotence = Idempotence::SingleAttempt;
        self
    }

    /// Returns the URL of the call at the deployment with this root URL.
    pub(crate) fn url(&self, root_url: &str) -> Result<Url, ApiError> {
        let text = format!("{root_url}{}", self.path);
        let url = Url::parse(&text).map_err(|error| self.invalid_request(error))?;
        // The parser resolves `.` and `..` even when percent-encoded, so a name such as `..` would lead to another
        // resource, with a valid signature.
        if url.as_str() == text {
            Ok(url)
        } else {
            Err(self.invalid_request(format!("`{}` changes when parsed as a URL", self.path)))
        }
    }

    pub(crate) fn invalid_request(&self, source: impl Into<BoxError>) -> ApiError {
        ApiError::Request {
            method: self.api_method,
            source: source.into(),
        }
    }

    pub(crate) fn unexpected_response(&self, source: impl Into<BoxError>) -> ApiError {
        ApiError::Unexpected {
            method: self.api_method,
            source: source.into(),
        }
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Returns the path of an API method. Each segment is encoded, including its slashes.
pub(crate) fn path<'a>(service: &str, segments: impl IntoIterator<Item = &'a str>) -> String {
    let mut path = format!("/api/{service}/v1");
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slash_in_segment_is_encoded() {
        let path = path("queue", ["claim-work", "proj/linux small"]);
        assert_eq!(path, "/api/queue/v1/claim-work/proj%2Flinux%20small");
    }

    #[test]
    fn dot_segment_is_rejected() {
        let call = Call::get("queue.artifact", path("queue", ["artifacts", ".."]));
        let error = call
            .url("http://localhost")
            .expect_err("the dots would be resolved");
        assert!(matches!(error, ApiError::Request { .. }), "{error}");
    }

    #[test]
    fn query_omits_missing_values() {
        let call = Call::get("x", "/p".to_owned()).query(&[("a", Some("1 2")), ("b", None)]);
        assert_eq!(
            call.url("http://h").expect("valid").as_str(),
            "http://h/p?a=1+2"
        );
    }
}
