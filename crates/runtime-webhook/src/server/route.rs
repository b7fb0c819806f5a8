//! Finds the hook of a request and lets it answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::uri::{PathAndQuery, Uri};
use http::{StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use runtime_core::webhook::{Body, Request, Response};

use super::Server;
use super::upload::Upload;
use crate::cut::Cut;
use crate::registry::Hook;

/// Answers a request to any hook of a server.
pub(crate) async fn answer(
    server: &Server,
    connection: &Arc<Cut>,
    request: http::Request<Incoming>,
) -> Response {
    let has_body = !request.body().is_end_stream();
    connection.set_unread(has_body);
    let mut request = request.map(|body| match has_body {
        true => Body::new(Upload::new(body, server.limits.body_timeout, connection)),
        false => Body::empty(),
    });
    let Some((id, rest)) = split(request.uri()) else {
        return not_found(server);
    };
    let Some(hook) = server.registry.find(id) else {
        return not_found(server);
    };
    let Some(rest) = rest else {
        return redirect(&hook, request.uri().query());
    };
    if !hook.enter(connection) {
        return not_found(server);
    }
    *request.uri_mut() = rest;
    server.monitor.count("requests", 1);
    call(server, &hook, request).await
}

/// Splits `/id/rest?query` into the id and what the handler sees, `/rest?query`, as it was sent.
///
/// Without the slash after the id, there is nothing for the handler to see.
fn split(uri: &Uri) -> Option<(&str, Option<Uri>)> {
    let whole = uri.path_and_query()?.as_str();
    let path = uri.path().strip_prefix('/')?;
    let Some(end) = path.find('/') else {
        return Some((path, None));
    };
    let rest = PathAndQuery::try_from(&whole[1 + end..]).ok()?;
    Some((&path[..end], Some(Uri::from(rest))))
}

/// Relative links in what a hook answers need the slash at the end of its URL.
fn redirect(hook: &Hook, query: Option<&str>) -> Response {
    let mut location = format!("{}/", hook.id());
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "");
    if let Ok(location) = location.try_into() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A handler that panics costs its own request and nothing else.
async fn call(server: &Server, hook: &Hook, request: Request) -> Response {
    let answer = AssertUnwindSafe(hook.handler().handle(request)).catch_unwind();
    answer.await.unwrap_or_else(|_| {
        server.monitor.count("panics", 1);
        server
            .monitor
            .error("the handler of a hook panicked; its client got a 500");
        plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
    })
}

fn not_found(server: &Server) -> Response {
    server.monitor.count("unknown-hooks", 1);
    plain(StatusCode::NOT_FOUND, "no such hook\n")
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, id: &str, rest: Option<&str>) {
        let uri: Uri = uri.parse().expect("a URI");
        let (found, found_rest) = split(&uri).expect("an id");
        assert_eq!(found, id, "{uri}");
        assert_eq!(
            found_rest.map(|rest| rest.to_string()).as_deref(),
            rest,
            "{uri}"
        );
    }

    #[test]
    fn the_rest_is_passed_on_as_it_was_sent() {
        check("/id/", "id", Some("/"));
        check("/id/a%2Fb//c/?q=%20/x", "id", Some("/a%2Fb//c/?q=%20/x"));
        check("/id/?q", "id", Some("/?q"));
        check("http://host/id/a?b", "id", Some("/a?b"));
    }

    #[test]
    fn without_a_slash_there_is_only_an_id() {
        check("/id", "id", None);
        check("/id?a/b", "id", None);
        check("/", "", None);
    }

    #[test]
    fn what_has_no_path_has_no_hook() {
        assert!(split(&"host:80".parse().expect("an authority")).is_none());
        assert!(split(&"*".parse().expect("an asterisk")).is_none());
    }
}
