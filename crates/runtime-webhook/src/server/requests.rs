//! The requests of an HTTP/2 connection, each of which can be cut alone.

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

use super::alarm::Alarm;
use super::{Server, route};
use crate::cut::{By, Cut};

/// The largest piece of an answer that hyper gets at once: as much as a frame holds, so that a client
/// which reads slowly is seen to go on.
const PIECE: usize = 16 * 1024;

tokio::task_local! {
    /// The request that the task serves.
    static REQUEST: Request;
}

/// Answers the request of the task.
pub(super) async fn answer(server: &Server, request: http::Request<Incoming>) -> Response {
    let cut = REQUEST.with(|request| Arc::clone(&request.cut));
    let response = route::answer(server, &cut, request).await;
    response.map(|body| {
        let rest = Bytes::new();
        Body::new(Pieces { body, rest })
    })
}

/// Runs hyper's work for each request in a task, until it is done, its hook cuts it, or its client takes
/// nothing of the answer for too long.
///
/// hyper waits for the client out of the answer's sight, so only who runs that work can end the wait.
#[derive(Clone)]
pub(super) struct Requests {
    server: Arc<Server>,
    running: watch::Sender<usize>,
}

impl Requests {
    /// Makes one for a connection, with the number of requests that are running.
    pub(super) fn new(server: &Arc<Server>) -> (Self, watch::Receiver<usize>) {
        let (running, receiver) = watch::channel(0);
        let server = Arc::clone(server);
        (Self { server, running }, receiver)
    }
}

impl<F> Executor<F> for Requests
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        self.running.send_modify(|count| *count += 1);
        let request = Request {
            cut: self.server.connections.request(),
            waits_since: Cell::new(None),
            running: self.running.clone(),
        };
        let run = run(work, self.server.limits.write_timeout);
        self.server.tasks.spawn(REQUEST.scope(request, run));
    }
}

/// What is known of one request, for everything that its task does.
struct Request {
    cut: Arc<Cut>,
    /// Since when a piece of the answer has been waiting for the client to have room for it.
    waits_since: Cell<Option<Instant>>,
    running: watch::Sender<usize>,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.cut.serves_nothing();
        self.running.send_modify(|count| *count -= 1);
    }
}

/// Does the work; dropping it half done resets the request, of which the client hears.
async fn run(work: impl Future<Output = ()>, timeout: Duration) {
    let mut work = std::pin::pin!(work);
    let mut alarm = Alarm::default();
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => REQUEST.with(|request| request.poll_end(&mut alarm, timeout, cx)),
    })
    .await;
}

impl Request {
    fn poll_end(&self, alarm: &mut Alarm, timeout: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if self.cut.poll_cut(By::Driver, cx).is_ready() {
            return Poll::Ready(());
        }
        match self.waits_since.get() {
            Some(since) => alarm.poll(since + timeout, cx),
            None => Poll::Pending,
        }
    }
}

/// An answer in small pieces. hyper asks for the next one when the client has room for the one before.
struct Pieces {
    body: Body,
    /// What is left of a larger piece.
    rest: Bytes,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        REQUEST.with(|request| request.waits_since.set(None));
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)?) {
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                None => return Poll::Ready(None),
            }
        }
        let len = self.rest.len().min(PIECE);
        REQUEST.with(|request| request.waits_since.set(Some(Instant::now())));
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, hint) = (self.rest.len() as u64, self.body.size_hint());
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}
