//! Small responses, and helpers for header fields.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use runtime_core::webhook::{Body, Response};

/// Returns a response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Returns a plain text response.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = empty(status);
    *response.body_mut() = Body::from(text);
    set_headers(
        &mut response,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
    );
    response
}

/// Sets header fields to fixed values.
pub(crate) fn set_headers<const N: usize>(
    response: &mut Response,
    fields: [(HeaderName, &'static str); N],
) {
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
}

/// Returns the items of a comma-separated header field, over all its lines.
pub(crate) fn list_items<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
}
