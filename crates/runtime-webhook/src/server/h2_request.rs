//! Requests of an HTTP/2 connection, each of which can be aborted alone.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use runtime_core::BoxError;
use runtime_core::webhook::{Body, Response};
use tokio::sync::watch;
use tokio::time::Instant;

use super::hook_server::HookServer;
use super::lazy_timer::LazyTimer;
use super::router;
use crate::connection::{ConnectionHandle, WakeSlot};

/// The maximum size of a DATA frame that hyper gets at once.
///
/// As large as an HTTP/2 frame by default, so that even a slow reader shows progress frame by frame.
const MAX_FRAME_BYTES: usize = 16 * 1024;

tokio::task_local! {
    // hyper passes no context from the executor to the service and the response body. They run in the same task,
    // so the context is local to the task.
    /// The request that the current task serves.
    static REQUEST: RequestContext;
}

/// Responds to the request of the current task.
pub(super) async fn respond(server: &HookServer, request: http::Request<Incoming>) -> Response {
    let handle = REQUEST.with(|request| Arc::clone(&request.handle));
    let response = router::route(server, &handle, request).await;
    response.map(|body| {
        let remaining = Bytes::new();
        Body::new(FramedBody { body, remaining })
    })
}

/// Runs hyper's work for each request in its own task. The task ends with the work, or when the hook
/// aborts the request, or when the client accepts no data for too long.
///
/// hyper waits for the client's flow control window in this work, after it has taken a frame from the
/// response body. The body is not polled meanwhile and cannot time out, so only the executor can.
#[derive(Clone)]
pub(super) struct RequestExecutor {
    server: Arc<HookServer>,
    running: watch::Sender<usize>,
}

impl RequestExecutor {
    /// Creates the executor of a connection. The receiver has the number of running requests.
    pub(super) fn new(server: &Arc<HookServer>) -> (Self, watch::Receiver<usize>) {
        let (running, receiver) = watch::channel(0);
        let server = Arc::clone(server);
        (Self { server, running }, receiver)
    }
}

impl<F> Executor<F> for RequestExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        self.running.send_modify(|count| *count += 1);
        let request = RequestContext {
            handle: self.server.connections.request_handle(),
            blocked_since: Cell::new(None),
            running: self.running.clone(),
        };
        let run = run(work, self.server.limits.write_timeout);
        self.server.tasks.spawn(REQUEST.scope(request, run));
    }
}

/// The state of a request, for all code that runs in its task.
struct RequestContext {
    handle: Arc<ConnectionHandle>,
    /// The time at which hyper took the frame that it has not finished sending.
    blocked_since: Cell<Option<Instant>>,
    running: watch::Sender<usize>,
}

impl Drop for RequestContext {
    fn drop(&mut self) {
        self.handle.leave_abort_set();
        self.running.send_modify(|count| *count -= 1);
    }
}

/// Runs the work. Dropping unfinished work makes hyper reset the stream with RST_STREAM.
async fn run(work: impl Future<Output = ()>, write_timeout: Duration) {
    let mut work = std::pin::pin!(work);
    let mut timer = LazyTimer::default();
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => REQUEST.with(|request| request.poll_end(&mut timer, write_timeout, cx)),
    })
    .await;
}

impl RequestContext {
    /// Returns ready once the request is aborted or blocked for longer than `write_timeout`.
    fn poll_end(
        &self,
        timer: &mut LazyTimer,
        write_timeout: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // The handle of the request, not of the connection: other hooks share the connection.
        if self.handle.poll_aborted(WakeSlot::Driver, cx).is_ready() {
            return Poll::Ready(());
        }
        match self.blocked_since.get() {
            Some(since) => timer.poll(since + write_timeout, cx),
            None => Poll::Pending,
        }
    }
}

/// A response body split into frames of at most [`MAX_FRAME_BYTES`].
///
/// hyper polls for the next frame when the client has accepted the previous one. A poll therefore is proof
/// of progress.
struct FramedBody {
    body: Body,
    /// The remaining bytes of a larger frame.
    remaining: Bytes,
}

impl http_body::Body for FramedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // hyper has sent the previous frame. From here the handler is slow, not the client.
        REQUEST.with(|request| request.blocked_since.set(None));
        if self.remaining.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)?) {
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.remaining = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                None => return Poll::Ready(None),
            }
        }
        let len = self.remaining.len().min(MAX_FRAME_BYTES);
        REQUEST.with(|request| request.blocked_since.set(Some(Instant::now())));
        Poll::Ready(Some(Ok(Frame::data(self.remaining.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (remaining, hint) = (self.remaining.len() as u64, self.body.size_hint());
        let mut total = SizeHint::new();
        total.set_lower(hint.lower() + remaining);
        if let Some(upper) = hint.upper() {
            total.set_upper(upper + remaining);
        }
        total
    }
}
