//! A server on the loopback interface with responses defined by the test, which records its requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use runtime_client::{ClientSettings, TaskclusterDeployment};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// A completely received request.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: Method,
    /// Path and query as sent.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The reaction to a request.
pub(crate) enum Reply {
    Response(StatusCode, HeaderMap, Bytes),
    /// Sends half of the body and closes the connection.
    Truncated(Bytes),
    /// Closes the connection without a response.
    Hangup,
    /// Never responds.
    NoResponse,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Response(
            StatusCode::from_u16(status).expect("a status"),
            HeaderMap::new(),
            body.into(),
        )
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Response(_, headers, _) = &mut self {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header value"),
            );
        }
        self
    }
}

/// The server. It stops when this value is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    task: AbortHandle,
}

impl Server {
    /// Starts a server that responds with `answer`, which gets the number of earlier requests and the request.
    pub(crate) async fn start(
        answer: impl Fn(usize, &ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_async(move |number, request| std::future::ready(answer(number, &request))).await
    }

    /// Starts a server with an asynchronous `answer`.
    pub(crate) async fn start_async<F>(
        answer: impl Fn(usize, ReceivedRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::<Mutex<Vec<ReceivedRequest>>>::default();
        let answer: Arc<Answerer> =
            Arc::new(move |number, request| Box::pin(answer(number, request)));
        let task = tokio::spawn(serve(listener, Arc::clone(&requests), answer)).abort_handle();
        Self {
            url,
            requests,
            task,
        }
    }

    /// Returns the requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// Waits until `count` requests have been received.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        wait_until(|| self.requests().len() >= count).await;
    }

    /// Returns a deployment at this server, with short delays between retries.
    pub(crate) fn deployment(&self) -> TaskclusterDeployment {
        self.deployment_with(|_| ())
    }

    pub(crate) fn deployment_with(
        &self,
        change: impl FnOnce(&mut ClientSettings),
    ) -> TaskclusterDeployment {
        let mut settings = fast_retries();
        change(&mut settings);
        TaskclusterDeployment::with_settings(&self.url, settings).expect("a valid root URL")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Polls until the condition holds, and fails after a minute. It does not depend on tokio's clock, which may be paused.
pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed().as_secs() < 60, "the condition never held");
        tokio::task::yield_now().await;
    }
}

/// Returns settings with short delays between retries.
pub(crate) fn fast_retries() -> ClientSettings {
    let mut settings = ClientSettings::default();
    settings.retry.first_delay = std::time::Duration::from_millis(1);
    settings.retry.max_delay = std::time::Duration::from_millis(5);
    settings
}

type Answerer =
    dyn Fn(usize, ReceivedRequest) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync;

async fn serve(
    listener: TcpListener,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    answer: Arc<Answerer>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
        let service =
            service_fn(move |request| respond(request, Arc::clone(&requests), Arc::clone(&answer)));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
    }
}

async fn respond(
    request: Request<Incoming>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    answer: Arc<Answerer>,
) -> Result<Response<BoxBody<Bytes, Broken>>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let target = head.uri.path_and_query().expect("a path").to_string();
    let received = ReceivedRequest {
        method: head.method,
        target,
        headers: head.headers,
        body,
    };
    let number = {
        let mut requests = requests.lock().expect("not poisoned");
        requests.push(received.clone());
        requests.len() - 1
    };
    match answer(number, received).await {
        Reply::Response(status, headers, body) => Ok(whole(status, headers, body)),
        Reply::Truncated(body) => Ok(cut(body)),
        Reply::Hangup => Err(Broken),
        Reply::NoResponse => std::future::pending().await,
    }
}

fn whole(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<BoxBody<Bytes, Broken>> {
    let body = http_body_util::Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn cut(body: Bytes) -> Response<BoxBody<Bytes, Broken>> {
    let length = body.len();
    let half = body.slice(..length / 2);
    let mut response = Response::new(HalfBody(Some(half)).boxed());
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// Closes the connection when a body returns it.
#[derive(Debug, thiserror::Error)]
#[error("the test closes this connection")]
pub(crate) struct Broken;

struct HalfBody(Option<Bytes>);

impl Body for HalfBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(Some(self.0.take().map(Frame::data).ok_or(Broken)))
    }
}
