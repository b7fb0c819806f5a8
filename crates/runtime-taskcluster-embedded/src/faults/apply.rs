//! How faults befall a call: before it is done, and while it is answered.

use std::future::{pending, ready};
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use serde_json::json;
use tokio::time::sleep;

use super::{Fault, Plan};
use crate::body::{self, Body};
use crate::call::Quirks;
use crate::connection::{Aborted, ResetSwitch};
use crate::error::{ErrorCode, RequestError};
use crate::shared::Shared;

/// What is left of a request after the faults that come first.
pub(crate) enum Outcome {
    /// Do it.
    Proceed(Request<Incoming>),
    /// Answer this.
    Answer(Response<Body>),
}

impl Plan {
    /// What the method itself does wrong.
    pub(crate) fn quirks(&self) -> Quirks {
        Quirks {
            expired_urls: self.fault == Some(Fault::ExpiredUrl),
            expired_credentials: self.fault == Some(Fault::ExpiredCredentials),
        }
    }

    /// Commits the faults that come before the call.
    pub(crate) async fn before(
        &self,
        shared: &Shared,
        method: &str,
        request: Request<Incoming>,
        switch: &ResetSwitch,
    ) -> Result<Outcome, Aborted> {
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
        match self.fault {
            Some(Fault::Status {
                status,
                retry_after,
            }) => {
                drop(read(request.into_body(), u64::MAX).await);
                Ok(Outcome::Answer(refusal(
                    shared,
                    method,
                    status,
                    retry_after,
                )))
            }
            Some(Fault::Html { status }) => {
                drop(read(request.into_body(), u64::MAX).await);
                Ok(Outcome::Answer(html(status)))
            }
            Some(Fault::Reset { after }) => {
                // The body must live on: without it the connection would be closed in an orderly way.
                let _body = read(request.into_body(), after).await;
                Err(switch.reset())
            }
            Some(Fault::Stall { after }) => {
                let _body = read(request.into_body(), after).await;
                pending().await
            }
            _ => Ok(Outcome::Proceed(request)),
        }
    }

    /// Commits the faults that come with the answer.
    pub(crate) fn after(
        &self,
        response: Response<Body>,
        switch: &ResetSwitch,
    ) -> Result<Response<Body>, Aborted> {
        match self.fault {
            Some(Fault::LostAnswer) => Err(switch.reset()),
            Some(Fault::Truncate { after }) => Ok(rewrite(response, |body| {
                first(body, after).chain(stream::once(cut_off()))
            })),
            Some(Fault::StallBody { after }) => Ok(rewrite(response, |body| {
                first(body, after).chain(stream::pending())
            })),
            Some(Fault::Slow { bytes_per_second }) => {
                Ok(rewrite(response, |body| drops(body, bytes_per_second)))
            }
            _ => Ok(response),
        }
    }
}

/// Reads so many bytes of a body, or all, and gives back the rest.
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

fn refusal(shared: &Shared, method: &str, status: u16, retry_after: Option<u32>) -> Response<Body> {
    let error =
        RequestError::new(ErrorCode::of_status(status), "an injected fault").with_status(status);
    let name = method.rsplit('.').next().unwrap_or(method);
    let body = error.body(name, &json!({}), &json!({}), shared.now());
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

/// Changes how the body comes, and keeps the length that is promised.
fn rewrite<S>(response: Response<Body>, change: impl FnOnce(Body) -> S) -> Response<Body>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Sync + 'static,
{
    let (mut head, body) = response.into_parts();
    let length = body.size_hint().exact().map(HeaderValue::from);
    if !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers
            .extend(length.map(|length| (CONTENT_LENGTH, length)));
    }
    let frames = change(body).map(|bytes| bytes.map(Frame::data));
    Response::from_parts(head, BodyExt::boxed(StreamBody::new(frames)))
}

fn data(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    BodyStream::new(body).map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// The error that ends a body too early.
///
/// It comes a moment after the bytes before it, so that they are sent: a reset, or an error that
/// follows at once, could take them along.
async fn cut_off() -> io::Result<Bytes> {
    tokio::task::yield_now().await;
    Err(Aborted.into())
}

/// The first bytes of a body.
fn first(body: Body, bytes: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    data(body).scan(bytes, |left, bytes| {
        let goes_on = *left > 0;
        let cut = bytes.map(|bytes| {
            let kept = bytes
                .len()
                .min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= kept as u64;
            bytes.slice(..kept)
        });
        ready(goes_on.then_some(cut))
    })
}

/// The body in ten pieces a second.
fn drops(body: Body, bytes_per_second: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    let size = usize::try_from(bytes_per_second / 10)
        .unwrap_or(usize::MAX)
        .max(1);
    let pieces = data(body).flat_map(move |bytes| stream::iter(split(bytes, size)));
    pieces.then(|piece| async {
        sleep(Duration::from_millis(100)).await;
        piece
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
