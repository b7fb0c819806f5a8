//! Answers to viewers and clients.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};

/// The body of an answer.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// An answer.
pub(super) type Answer = Response<Body>;

pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// An answer that says what its status is called, as the server does.
pub(super) fn plain(status: StatusCode) -> Answer {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    answer
}
