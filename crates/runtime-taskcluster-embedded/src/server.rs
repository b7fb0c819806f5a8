//! Accepts connections and dispatches requests.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
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

use crate::body::{self, Body};
use crate::call::Reply;
use crate::connection::{InjectedReset, ResetFlag, ResettableStream};
use crate::context::ServerContext;
use crate::faults::HandlerFaults;
#[cfg(feature = "pages")]
use crate::pages;
use crate::router::Route;
use crate::services::s3;
use crate::{api, control, same_origin};

/// The pause after a failed `accept`, for example for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// The time that requests in flight have to finish when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves connections until the server stops.
pub(crate) async fn serve(listener: TcpListener, context: Arc<ServerContext>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(&context)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
            },
            Some(_) = connections.join_next() => {}
            () = context.stopping.cancelled() => break,
        }
    }
    drop(listener);
    let drain = async { while connections.join_next().await.is_some() {} };
    // Connections that do not finish in time, for example stalled ones, are aborted.
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, drain).await;
    connections.shutdown().await;
}

async fn serve_connection(stream: TcpStream, context: Arc<ServerContext>) {
    // Responses are small and written at once: Nagle's algorithm would only delay them. If it cannot be disabled,
    // responses are slower.
    let _ = stream.set_nodelay(true);
    let (reset, stopping) = (ResetFlag::default(), context.stopping.clone());
    let stream = ResettableStream {
        stream,
        reset: reset.clone(),
    };
    let service = service_fn(move |request| {
        let (context, reset) = (Arc::clone(&context), reset.clone());
        async move { respond(&context, request, &reset).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // Errors are ignored, because the client closed the connection or a fault was injected.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// The destination of a request.
enum Endpoint {
    Api(Route),
    /// The S3-like store, with the name of the method in fault rules.
    Store(&'static str),
    Control,
    #[cfg(feature = "pages")]
    Page,
    Other,
}

impl Endpoint {
    fn find(verb: &Method, path: &str) -> Self {
        if let Some(name) = s3::method_name(verb, path) {
            return Self::Store(name);
        }
        match Route::find(verb.as_str(), path) {
            Some(route) => Self::Api(route),
            None if path.starts_with("/control/") => Self::Control,
            #[cfg(feature = "pages")]
            None if *verb == Method::GET && pages::is_page(path) => Self::Page,
            None => Self::Other,
        }
    }

    /// Returns the name of the method in fault rules.
    fn method_name(&self) -> Option<String> {
        match self {
            Self::Api(route) => Some(route.full_name()),
            Self::Store(name) => Some((*name).to_owned()),
            Self::Control | Self::Other => None,
            // Pages are not part of the API: they have no fault rules and no headers of the API.
            #[cfg(feature = "pages")]
            Self::Page => None,
        }
    }
}

/// Responds to a request and applies the injected faults.
async fn respond(
    context: &ServerContext,
    request: Request<Incoming>,
    reset: &ResetFlag,
) -> Result<Response<Body>, InjectedReset> {
    let endpoint = Endpoint::find(request.method(), request.uri().path());
    let Some(name) = endpoint.method_name() else {
        return Ok(dispatch(context, endpoint, request, HandlerFaults::default()).await);
    };
    // Rules count calls in the order of arrival, before the body is read.
    let plan = {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        context.faults.plan(&name, &path)
    };
    let now = context.now();
    match plan.apply_to_request(&name, request, reset, now).await? {
        ControlFlow::Break(response) => Ok(response),
        ControlFlow::Continue(request) => {
            let response = dispatch(context, endpoint, request, plan.handler_faults()).await;
            plan.apply_to_response(response, reset)
        }
    }
}

async fn dispatch(
    context: &ServerContext,
    endpoint: Endpoint,
    request: Request<Incoming>,
    faults: HandlerFaults,
) -> Response<Body> {
    let trace_id = request.headers().get("x-taskcluster-trace-id").cloned();
    let not_implemented = not_implemented(request.method(), request.uri().path());
    let reply = match endpoint {
        Endpoint::Store(_) => return s3::respond(context, request).await,
        Endpoint::Api(route) => api::handle(context, route, request, faults).await,
        Endpoint::Control => match same_origin::check_sender(&context.root_url, &request) {
            Ok(()) => control::handle(context, request)
                .await
                .unwrap_or(not_implemented),
            Err(problem) => refusal(StatusCode::FORBIDDEN, "Forbidden", &problem),
        },
        #[cfg(feature = "pages")]
        Endpoint::Page => match same_origin::check_host(&context.root_url, request.headers()) {
            Ok(()) => return pages::respond(context, request.uri()).await,
            Err(problem) => refusal(StatusCode::FORBIDDEN, "Forbidden", &problem),
        },
        Endpoint::Other => not_implemented,
    };
    to_response(reply, trace_id)
}

/// Creates the 404 of the real services, with a note that a real service may have the method.
fn not_implemented(verb: &Method, path: &str) -> Reply {
    let message = format!("`{verb} {path}` is not implemented by the embedded Taskcluster");
    refusal(StatusCode::NOT_FOUND, "Not found", &message)
}

fn refusal(status: StatusCode, error: &str, message: &str) -> Reply {
    let body = json!({ "error": error, "message": message });
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    Reply {
        status,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
        body: body.to_string().into_bytes(),
    }
}

/// Adds the headers that all services send.
fn to_response(reply: Reply, trace_id: Option<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(if reply.body.is_empty() {
        body::empty()
    } else {
        body::full(reply.body)
    });
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let new_id = || HeaderValue::from_str(&Uuid::new_v4().to_string()).ok();
    let ids = [
        ("x-for-trace-id", trace_id.or_else(new_id)),
        ("x-for-request-id", new_id()),
    ];
    let headers = response.headers_mut();
    for (name, id) in ids {
        headers.extend(id.map(|id| (HeaderName::from_static(name), id)));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store no-cache must-revalidate"),
    );
    response
}
