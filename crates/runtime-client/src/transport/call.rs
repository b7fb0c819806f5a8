//! One call to an API method, before it is signed and sent.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runtime_core::{ApiError, BoxError};
use serde::Serialize;
use url::Url;
use url::form_urlencoded::Serializer;

/// What must be known of a call to send it any number of times.
#[derive(Debug)]
pub(crate) struct Call {
    /// The name of the API method, such as `queue.claimWork`.
    pub(crate) method: &'static str,
    pub(crate) verb: Method,
    /// Path and query, already encoded.
    path: String,
    pub(crate) body: Option<Bytes>,
    pub(crate) delivery: Delivery,
}

/// Whether a call may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Twice is as good as once.
    Repeatable,
    /// Only when it certainly had no effect.
    Once,
}

impl Call {
    /// A call without a body.
    pub(crate) fn new(method: &'static str, verb: Method, path: String) -> Self {
        Self {
            method,
            verb,
            path,
            body: None,
            delivery: Delivery::Repeatable,
        }
    }

    /// A call that only reads.
    pub(crate) fn get(method: &'static str, path: String) -> Self {
        Self::new(method, Method::GET, path)
    }

    /// A call with a JSON body.
    pub(crate) fn with_json(
        method: &'static str,
        verb: Method,
        path: String,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, ApiError> {
        let mut call = Self::new(method, verb, path);
        let body = serde_json::to_vec(body).map_err(|error| call.unmakeable(error))?;
        call.body = Some(body.into());
        Ok(call)
    }

    /// Adds a query; a value that is `None` is left out.
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

    /// Says that the call must not be sent twice unless the first certainly had no effect.
    pub(crate) fn once(mut self) -> Self {
        self.delivery = Delivery::Once;
        self
    }

    /// The URL of the call at a deployment.
    pub(crate) fn url(&self, root: &str) -> Result<Url, ApiError> {
        let text = format!("{root}{}", self.path);
        let url = Url::parse(&text).map_err(|error| self.unmakeable(error))?;
        // The parser resolves `.` and `..`; what it signs would then be another resource.
        match url.as_str() == text {
            true => Ok(url),
            false => {
                Err(self.unmakeable(format!("`{}` names something that a URL cannot", self.path)))
            }
        }
    }

    pub(crate) fn unmakeable(&self, source: impl Into<BoxError>) -> ApiError {
        ApiError::Request {
            method: self.method,
            source: source.into(),
        }
    }

    pub(crate) fn unexpected(&self, source: impl Into<BoxError>) -> ApiError {
        ApiError::Unexpected {
            method: self.method,
            source: source.into(),
        }
    }
}

/// What stands for itself in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The path of an API method; each segment is encoded, slashes included.
pub(crate) fn path<'a>(service: &str, segments: impl IntoIterator<Item = &'a str>) -> String {
    let mut path = format!("/api/{service}/v1");
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, PLAIN));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_in_a_segment_is_encoded() {
        let path = path("queue", ["claim-work", "proj/linux small"]);
        assert_eq!(path, "/api/queue/v1/claim-work/proj%2Flinux%20small");
    }

    #[test]
    fn a_segment_of_dots_is_refused_instead_of_resolved() {
        let call = Call::get("queue.artifact", path("queue", ["artifacts", ".."]));
        let error = call
            .url("http://localhost")
            .expect_err("dots would leave the folder");
        assert!(matches!(error, ApiError::Request { .. }), "{error}");
    }

    #[test]
    fn a_query_leaves_out_what_is_not_given() {
        let call = Call::get("x", "/p".to_owned()).query(&[("a", Some("1 2")), ("b", None)]);
        assert_eq!(
            call.url("http://h").expect("valid").as_str(),
            "http://h/p?a=1+2"
        );
    }
}
