//! A server on the loopback interface that answers as a test tells it to, and remembers what it got.

#![expect(dead_code, reason = "each test binary uses a part of it")]

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

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query as they were sent.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    Answer(StatusCode, HeaderMap, Bytes),
    /// Half of the body, then the end of the connection.
    Cut(Bytes),
    /// The end of the connection before any answer.
    Hangup,
    /// No answer, ever.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Answer(
            StatusCode::from_u16(status).expect("a status"),
            HeaderMap::new(),
            body.into(),
        )
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header value"),
            );
        }
        self
    }
}

/// The server; it ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
}

impl Server {
    /// Answers each request with what `answer` makes of it and of the number of requests before.
    pub(crate) async fn start(
        answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_async(move |number, seen| std::future::ready(answer(number, &seen))).await
    }

    /// The same with an answer that takes its time.
    pub(crate) async fn start_async<F>(
        answer: impl Fn(usize, Seen) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let answer: Arc<Answerer> = Arc::new(move |number, seen| Box::pin(answer(number, seen)));
        let task = tokio::spawn(serve(listener, Arc::clone(&seen), answer)).abort_handle();
        Self { url, seen, task }
    }

    /// The requests so far, the first one first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn saw(&self, count: usize) {
        while self.seen().len() < count {
            tokio::task::yield_now().await;
        }
    }

    /// A deployment at this server, with retries quick enough for a test.
    pub(crate) fn deployment(&self) -> TaskclusterDeployment {
        self.deployment_with(|_| ())
    }

    pub(crate) fn deployment_with(
        &self,
        change: impl FnOnce(&mut ClientSettings),
    ) -> TaskclusterDeployment {
        let mut settings = quick();
        change(&mut settings);
        TaskclusterDeployment::with_settings(&self.url, settings).expect("a valid root URL")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Settings whose delays a test can bear.
pub(crate) fn quick() -> ClientSettings {
    let mut settings = ClientSettings::default();
    settings.retry.first_delay = std::time::Duration::from_millis(1);
    settings.retry.max_delay = std::time::Duration::from_millis(5);
    settings
}

type Answerer = dyn Fn(usize, Seen) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync;

async fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, answer: Arc<Answerer>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
        let service =
            service_fn(move |request| respond(request, Arc::clone(&seen), Arc::clone(&answer)));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
    }
}

async fn respond(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Answerer>,
) -> Result<Response<BoxBody<Bytes, Broken>>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let target = head.uri.path_and_query().expect("a path").to_string();
    let this = Seen {
        method: head.method,
        target,
        headers: head.headers,
        body,
    };
    let number = {
        let mut seen = seen.lock().expect("not poisoned");
        seen.push(this.clone());
        seen.len() - 1
    };
    match answer(number, this).await {
        Reply::Answer(status, headers, body) => Ok(whole(status, headers, body)),
        Reply::Cut(body) => Ok(cut(body)),
        Reply::Hangup => Err(Broken),
        Reply::Silence => std::future::pending().await,
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

/// The connection is to end here.
#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the test wants this connection to end")
    }
}

impl std::error::Error for Broken {}

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
