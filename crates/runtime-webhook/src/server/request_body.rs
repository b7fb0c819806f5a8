//! The body of a request, with a timeout.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use runtime_core::BoxError;

use super::progress_timeout::ProgressTimeout;
use crate::connection::ConnectionHandle;

/// A request body that fails when the client sends no data for too long.
///
/// The timeout runs only while the handler polls the body: a slow handler must not fail the request of a
/// fast client.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Incoming,
    timeout: ProgressTimeout,
    connection: Arc<ConnectionHandle>,
}

impl RequestBody {
    pub(super) fn new(
        body: Incoming,
        timeout: Duration,
        connection: &Arc<ConnectionHandle>,
    ) -> Self {
        Self {
            body,
            timeout: ProgressTimeout::new(timeout),
            connection: Arc::clone(connection),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.timeout.reset();
            // Only the end counts: hyper has then consumed the whole request, and nothing is left to drain.
            if frame.is_none() {
                self.connection.set_unread_body(false);
            }
            self.connection.count_body_frame();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let problem = "no data received from the client";
        let error = self.timeout.poll_error(problem, cx);
        error.map(|error| Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
