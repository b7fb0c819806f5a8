//! Connections, and the way from a request to its answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::body::{self, Body};
use super::call::{Quirks, Reply};
use super::connection::{Aborted, Connection, ResetSwitch};
use super::faults::apply::Outcome;
#[cfg(feature = "pages")]
use super::page;
use super::router::{self, Route};
use super::services::s3;
use super::shared::Shared;
use super::{api, control};

/// How long to wait when no connection can be accepted, for lack of file descriptors for example.
const PAUSE: Duration = Duration::from_millis(50);
/// How long requests in flight get to finish at the end.
const GRACE: Duration = Duration::from_millis(500);

/// Serves until the end has come; requests in flight get some time to finish.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = shared.stopping.cancelled() => break,
        }
    }
    drop(listener);
    // What is not finished by then is cut off: dropping the set aborts it.
    let _ = tokio::time::timeout(GRACE, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Without Nagle's algorithm small answers leave at once; it does no harm if it cannot be turned off.
    let _ = stream.set_nodelay(true);
    let (switch, stopping) = (ResetSwitch::default(), shared.stopping.clone());
    let stream = Connection {
        stream,
        switch: switch.clone(),
    };
    let service = service_fn(move |request| {
        let (shared, switch) = (Arc::clone(&shared), switch.clone());
        async move { answer(&shared, request, &switch).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A connection that breaks is the client's business, or an injected fault.
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopping.cancelled() => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// What a request is for.
enum Target {
    Method(Route),
    Store(&'static str),
    Control,
    Unknown,
}

impl Target {
    fn of(verb: &Method, path: &str) -> Self {
        if let Some(name) = s3::method_name(verb, path) {
            return Self::Store(name);
        }
        match router::find(verb.as_str(), path) {
            Some(route) => Self::Method(route),
            None if path.starts_with("/control/") => Self::Control,
            None => Self::Unknown,
        }
    }

    /// The name in fault rules.
    fn name(&self) -> Option<String> {
        match self {
            Self::Method(route) => Some(route.method.full_name()),
            Self::Store(name) => Some((*name).to_owned()),
            Self::Control | Self::Unknown => None,
        }
    }
}

async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
    switch: &ResetSwitch,
) -> Result<Response<Body>, Aborted> {
    let target = Target::of(request.method(), request.uri().path());
    let Some(name) = target.name() else {
        return Ok(dispatch(shared, target, request, Quirks::default()).await);
    };
    let plan = {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        shared.faults.take(&name, &path)
    };
    match plan.before(shared, &name, request, switch).await? {
        Outcome::Answer(response) => Ok(response),
        Outcome::Proceed(request) => {
            let response = dispatch(shared, target, request, plan.quirks()).await;
            plan.after(response, switch)
        }
    }
}

async fn dispatch(
    shared: &Shared,
    target: Target,
    request: Request<Incoming>,
    quirks: Quirks,
) -> Response<Body> {
    #[cfg(feature = "pages")]
    if let (Target::Unknown, &Method::GET) = (&target, request.method())
        && let Some(page) = page::answer(shared, request.uri()).await
    {
        return page;
    }
    let trace = request.headers().get("x-taskcluster-trace-id").cloned();
    let missing = not_found(request.method(), request.uri().path());
    let reply = match target {
        Target::Store(_) => return s3::answer(shared, request).await,
        Target::Method(route) => api::answer(shared, route, request, quirks).await,
        Target::Control => control::answer(shared, request).await.unwrap_or(missing),
        Target::Unknown => missing,
    };
    respond(reply, trace)
}

/// What the real services answer to a path that they do not know, and that it is unknown here.
fn not_found(verb: &Method, path: &str) -> Reply {
    let message = format!("`{verb} {path}` is not implemented by the embedded Taskcluster");
    let body = json!({ "error": "Not found", "message": message });
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    Reply {
        status: StatusCode::NOT_FOUND,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
        body: body.to_string().into_bytes(),
    }
}

fn respond(reply: Reply, trace: Option<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(match reply.body.is_empty() {
        true => body::empty(),
        false => body::full(reply.body),
    });
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let id = || HeaderValue::from_str(&Uuid::new_v4().to_string()).ok();
    let headers = response.headers_mut();
    headers.extend(
        trace
            .or_else(id)
            .map(|id| (HeaderName::from_static("x-for-trace-id"), id)),
    );
    headers.extend(id().map(|id| (HeaderName::from_static("x-for-request-id"), id)));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store no-cache must-revalidate"),
    );
    response
}
