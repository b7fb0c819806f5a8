//! Responses to viewers and clients.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};

type Body = BoxBody<Bytes, hyper::Error>;

/// A response to a viewer or a client.
pub(super) type TunnelResponse = Response<Body>;

pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Creates a response whose body is the name of its status, as the real server does.
pub(super) fn status_response(status: StatusCode) -> TunnelResponse {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response
}
