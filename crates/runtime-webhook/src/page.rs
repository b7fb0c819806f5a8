//! A page that never changes.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use runtime_core::webhook::{Body, Handler, Request, Response};

/// Serves the same bytes to everybody, at the hook's URL itself.
///
/// ```
/// # use std::sync::Arc;
/// use http::HeaderValue;
/// use runtime_webhook::StaticPage;
///
/// let page = StaticPage::html("<!doctype html><title>Ready</title>The device is ready.");
/// let data = StaticPage::new(HeaderValue::from_static("application/json"), r#"{"ready": true}"#);
/// ```
pub struct StaticPage {
    kind: HeaderValue,
    bytes: Bytes,
}

impl StaticPage {
    /// A page of this type.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: content_type,
            bytes: bytes.into(),
        }
    }

    /// A page in HTML. It may run scripts: make it of nothing that a task wrote.
    pub fn html(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("text/html; charset=utf-8"), text)
    }

    /// A page of text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("text/plain; charset=utf-8"), text)
    }
}

#[async_trait]
impl Handler for StaticPage {
    async fn handle(&self, request: Request) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if request.uri().path() != "/" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        } else {
            headers.insert(header::CONTENT_TYPE, self.kind.clone());
            *response.body_mut() = Body::from(self.bytes.clone());
        }
        response
    }
}

impl fmt::Debug for StaticPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticPage")
            .field("kind", &self.kind)
            .field("len", &self.bytes.len())
            .finish()
    }
}
