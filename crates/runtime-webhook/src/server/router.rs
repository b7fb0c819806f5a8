//! Routes requests to hooks by the id in the path.

use std::future::{Future as _, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use http::uri::{PathAndQuery, Uri};
use http::{StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use runtime_core::webhook::{Body, Handler, Request, Response};

use super::hook_server::{Fallback, HookServer};
use super::progress_timeout::ProgressTimeout;
use super::request_body::RequestBody;
use crate::connection::ConnectionHandle;
use crate::registry::Hook;
use crate::response::{empty, plain};

/// Responds to a request to any hook of a server.
pub(super) async fn route(
    server: &HookServer,
    connection: &Arc<ConnectionHandle>,
    request: http::Request<Incoming>,
) -> Response {
    // Recorded for each request: it decides about a lingering close after the last response.
    let has_body = !request.body().is_end_stream();
    connection.set_unread_body(has_body);
    let mut request = request.map(|body| {
        if has_body {
            let timeout = server.limits.body_timeout;
            Body::new(RequestBody::new(body, timeout, connection))
        } else {
            Body::empty()
        }
    });
    let Some((id, uri)) = split(request.uri()) else {
        return not_found(server);
    };
    let Some(hook) = server.registry.find(id) else {
        let Some(Fallback(handler)) = &server.fallback else {
            return not_found(server);
        };
        server.monitor.count("requests", 1);
        // The connection may have carried a request to a hook that aborts it on detach.
        connection.leave_abort_set();
        return call(server, connection, &**handler, request).await;
    };
    let Some(uri) = uri else {
        return redirect(&hook, request.uri().query());
    };
    // After the lookup the hook may have been detached, which `admit` detects.
    if !hook.admit(connection) {
        return not_found(server);
    }
    *request.uri_mut() = uri;
    server.monitor.count("requests", 1);
    call(server, connection, &*hook.handler, request).await
}

/// Splits `/id/path?query` into the id and the URI for the handler, `/path?query`, byte for byte as sent.
///
/// There is no URI if the slash after the id is missing.
fn split(uri: &Uri) -> Option<(&str, Option<Uri>)> {
    let path_and_query = uri.path_and_query()?.as_str();
    let path = uri.path().strip_prefix('/')?;
    let Some(end) = path.find('/') else {
        return Some((path, None));
    };
    let uri = match &path_and_query[1 + end..] {
        // The most frequent one, without a copy.
        "/" => Uri::default(),
        rest => Uri::from(PathAndQuery::try_from(rest).ok()?),
    };
    Some((&path[..end], Some(uri)))
}

/// Redirects to the URL with a trailing slash, which relative links in a response need.
fn redirect(hook: &Hook, query: Option<&str>) -> Response {
    let mut location = format!("{}/", hook.id());
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let mut response = empty(StatusCode::PERMANENT_REDIRECT);
    if let Ok(location) = location.try_into() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Calls the handler. A panic or a handler that hangs affects only this request.
async fn call(
    server: &HookServer,
    connection: &ConnectionHandle,
    handler: &dyn Handler,
    request: Request,
) -> Response {
    // Uncaught, a panic would close the connection without a response. `AssertUnwindSafe`: a handler is shared by `&self`
    // and responsible for its own state after a panic.
    let mut response = pin!(AssertUnwindSafe(handler.handle(request)).catch_unwind());
    // Most handlers respond in their first poll, and this timeout arms no timer before the second.
    let mut timeout = ProgressTimeout::new(server.limits.response_timeout);
    let mut body_frames = connection.body_frames();
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = response.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        // A handler may wait for a slow client, for which there is another limit.
        if body_frames != connection.body_frames() {
            body_frames = connection.body_frames();
            timeout.reset();
        }
        timeout.poll(cx).map(|()| None)
    });
    match result.await {
        Some(Ok(response)) => response,
        Some(Err(_)) => {
            server.monitor.count("panics", 1);
            server
                .monitor
                .error("hook handler panicked, responded with status 500");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
        }
        None => {
            let limit = server.limits.response_timeout;
            server.monitor.count("handler-timeouts", 1);
            server.monitor.error(format_args!(
                "hook handler did not respond within {limit:?}, responded with status 503"
            ));
            let text = "the handler did not respond in time\n";
            plain(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

fn not_found(server: &HookServer) -> Response {
    server.monitor.count("unknown-hooks", 1);
    plain(StatusCode::NOT_FOUND, "unknown hook\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, id: &str, rest: Option<&str>) {
        let uri: Uri = uri.parse().expect("a URI");
        let (found, found_rest) = split(&uri).expect("an id");
        assert_eq!(found, id, "{uri}");
        let found_rest = found_rest.map(|rest| rest.to_string());
        assert_eq!(found_rest.as_deref(), rest, "{uri}");
    }

    #[test]
    fn path_and_query_are_passed_unchanged() {
        check("/id/", "id", Some("/"));
        check("/id/a%2Fb//c/?q=%20/x", "id", Some("/a%2Fb//c/?q=%20/x"));
        check("/id/?q", "id", Some("/?q"));
        check("http://host/id/a?b", "id", Some("/a?b"));
    }

    #[test]
    fn id_without_slash_has_no_path() {
        check("/id", "id", None);
        check("/id?a/b", "id", None);
        check("/", "", None);
    }

    #[test]
    fn uri_without_path_has_no_id() {
        assert!(split(&"host:80".parse().expect("an authority")).is_none());
        assert!(split(&"*".parse().expect("an asterisk")).is_none());
    }
}
