//! Applies faults to a request, before the method runs, and to its response.

use std::future::{pending, ready};
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;

use super::{Fault, FaultPlan};
use crate::body::{self, Body};
use crate::connection::{InjectedReset, ResetFlag};
use crate::error::{ErrorCode, RequestError};

/// The number of chunks per second of a slow body.
const SLOW_CHUNKS_PER_SECOND: u64 = 10;

impl FaultPlan {
    /// Applies the faults that precede the method, and returns the request or a response.
    pub(crate) async fn apply_to_request(
        &self,
        method: &str,
        request: Request<Incoming>,
        reset: &ResetFlag,
        now: Timestamp,
    ) -> Result<ControlFlow<Response<Body>, Request<Incoming>>, InjectedReset> {
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        match self.fault {
            Some(Fault::Status {
                status,
                retry_after,
            }) => {
                drop(read(request.into_body(), u64::MAX).await);
                let response = service_error(method, status, retry_after, now);
                Ok(ControlFlow::Break(response))
            }
            Some(Fault::Html { status }) => {
                drop(read(request.into_body(), u64::MAX).await);
                Ok(ControlFlow::Break(html(status)))
            }
            Some(Fault::Reset { after }) => {
                // The body lives until the connection is dropped: hyper answers a dropped body by
                // an orderly shutdown, and the client would see FIN instead of RST.
                let _body = read(request.into_body(), after).await;
                Err(reset.set())
            }
            Some(Fault::Stall { after }) => {
                let _body = read(request.into_body(), after).await;
                pending().await
            }
            _ => Ok(ControlFlow::Continue(request)),
        }
    }

    /// Applies the faults that follow the method.
    pub(crate) fn apply_to_response(
        &self,
        response: Response<Body>,
        reset: &ResetFlag,
    ) -> Result<Response<Body>, InjectedReset> {
        match self.fault {
            Some(Fault::LostResponse) => Err(reset.set()),
            Some(Fault::Truncate { after }) => Ok(map_body(response, |body| {
                take_bytes(body, after).chain(stream::once(abort_body()))
            })),
            Some(Fault::StallBody { after }) => Ok(map_body(response, |body| {
                take_bytes(body, after).chain(stream::pending())
            })),
            Some(Fault::Slow { bytes_per_second }) => {
                Ok(map_body(response, |body| throttle(body, bytes_per_second)))
            }
            _ => Ok(response),
        }
    }
}

/// Reads the given number of bytes of a body, and returns the remaining body.
async fn read(mut body: Incoming, bytes: u64) -> Incoming {
    let mut read = 0;
    while read < bytes {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => break,
        }
    }
    body
}

fn service_error(
    method: &str,
    status: u16,
    retry_after: Option<u32>,
    now: Timestamp,
) -> Response<Body> {
    let error =
        RequestError::new(ErrorCode::from_status(status), "an injected fault").with_status(status);
    let name = method.rsplit('.').next().unwrap_or(method);
    let body = error.body(name, &json!({}), &json!({}), now);
    let mut response = Response::new(body::full(body.to_string()));
    *response.status_mut() = error.status_code();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.extend(retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
    response
}

fn html(status: u16) -> Response<Body> {
    let page = format!(
        "<!doctype html><html><head><title>{status}</title></head><body>load balancer</body></html>"
    );
    let mut response = Response::new(body::full(page));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// Replaces the body and keeps the `Content-Length` of the original one.
///
/// Without a length hyper would use chunked encoding, and the end of a truncated body would look
/// like a protocol error instead of a short body.
fn map_body<S>(response: Response<Body>, map: impl FnOnce(Body) -> S) -> Response<Body>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Sync + 'static,
{
    let (mut head, body) = response.into_parts();
    let length = body.size_hint().exact().map(HeaderValue::from);
    if !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers
            .extend(length.map(|length| (CONTENT_LENGTH, length)));
    }
    let frames = map(body).map(|bytes| bytes.map(Frame::data));
    Response::from_parts(head, BodyExt::boxed(StreamBody::new(frames)))
}

fn data(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    BodyStream::new(body).map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Returns the error that makes hyper close the connection within a body.
///
/// It yields first, so that hyper sends the preceding bytes; if the error were ready at once, hyper would discard them.
async fn abort_body() -> io::Result<Bytes> {
    tokio::task::yield_now().await;
    Err(InjectedReset.into())
}

/// Returns the first bytes of a body.
fn take_bytes(body: Body, bytes: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    data(body).scan(bytes, |remaining, bytes| {
        let is_open = *remaining > 0;
        let taken = bytes.map(|bytes| {
            let limit = usize::try_from(*remaining).unwrap_or(usize::MAX);
            let len = bytes.len().min(limit);
            *remaining -= len as u64;
            bytes.slice(..len)
        });
        ready(is_open.then_some(taken))
    })
}

/// Splits a body into chunks with a pause before each.
fn throttle(
    body: Body,
    bytes_per_second: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    let size = bytes_per_second / SLOW_CHUNKS_PER_SECOND;
    let size = usize::try_from(size).unwrap_or(usize::MAX).max(1);
    let chunks = data(body).flat_map(move |bytes| stream::iter(split(bytes, size)));
    chunks.then(|chunk| async {
        sleep(Duration::from_secs(1) / SLOW_CHUNKS_PER_SECOND as u32).await;
        chunk
    })
}

fn split(bytes: io::Result<Bytes>, size: usize) -> Vec<io::Result<Bytes>> {
    match bytes {
        Ok(bytes) => (0..bytes.len())
            .step_by(size)
            .map(|from| Ok(bytes.slice(from..bytes.len().min(from + size))))
            .collect(),
        Err(error) => vec![Err(error)],
    }
}
