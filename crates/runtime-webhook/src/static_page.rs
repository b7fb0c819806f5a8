//! A handler that serves fixed content.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use runtime_core::webhook::{Body, Handler, Request, Response};

use crate::response::{empty, set_headers};

/// Serves fixed content at the URL of the hook.
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
    content_type: HeaderValue,
    content: Bytes,
}

impl StaticPage {
    /// Creates a page with this content type.
    pub fn new(content_type: HeaderValue, content: impl Into<Bytes>) -> Self {
        Self {
            content_type,
            content: content.into(),
        }
    }

    /// Creates an HTML page.
    ///
    /// Scripts in the page run in the viewer's browser, so do not include text written by a task.
    pub fn html(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("text/html; charset=utf-8"), text)
    }

    /// Creates a plain text page.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::new(HeaderValue::from_static("text/plain; charset=utf-8"), text)
    }
}

#[async_trait]
impl Handler for StaticPage {
    async fn handle(&self, request: Request) -> Response {
        let mut response = if request.uri().path() != "/" {
            empty(StatusCode::NOT_FOUND)
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            set_headers(&mut response, [(header::ALLOW, "GET, HEAD")]);
            response
        } else {
            let mut response = Response::new(Body::from(self.content.clone()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, self.content_type.clone());
            response
        };
        set_headers(&mut response, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")]);
        response
    }
}

impl fmt::Debug for StaticPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticPage")
            .field("content_type", &self.content_type)
            .field("len", &self.content.len())
            .finish()
    }
}
