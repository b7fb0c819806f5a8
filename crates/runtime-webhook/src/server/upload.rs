//! The body of a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use runtime_core::BoxError;

use super::stall::Stall;
use crate::cut::Cut;

/// A body that breaks when its client sends nothing for too long while the handler waits for more.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    stall: Stall,
    connection: Arc<Cut>,
}

impl Upload {
    pub(super) fn new(body: Incoming, timeout: Duration, connection: &Arc<Cut>) -> Self {
        Self {
            body,
            stall: Stall::new(timeout),
            connection: Arc::clone(connection),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.stall.clear();
            if frame.is_none() {
                self.connection.set_unread(false);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.stall.poll(cx).map(|()| {
            let message = format!("the client sent no byte for {:?}", self.stall.timeout());
            let error = io::Error::new(io::ErrorKind::TimedOut, message);
            Some(Err(error.into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
