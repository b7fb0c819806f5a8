//! Viewers: each request is sent through the tunnel of a client on a new stream.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use runtime_webhook::wsmux::Session;
use tokio::io::copy_bidirectional;

use super::response::{TunnelResponse, status_response};
use super::state::TunnelServerState;

/// Forwards a request of a viewer to a client.
pub(super) async fn forward(
    state: &Arc<TunnelServerState>,
    mut request: Request<Incoming>,
) -> TunnelResponse {
    let target = split_client_id(request.uri());
    let target = target.and_then(|(id, rest)| Some((state.client(&id)?, rest)));
    let Some((client, rest)) = target else {
        return status_response(StatusCode::GATEWAY_TIMEOUT);
    };
    let original = HeaderValue::from_str(request.uri().path());
    *request.uri_mut() = rest;
    let headers = request.headers_mut();
    if let Ok(original) = original {
        headers.insert("x-websocktunnel-original-path", original);
    }
    let is_upgrade = headers.contains_key(header::UPGRADE);
    if !is_upgrade {
        // A stream serves one request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let viewer = is_upgrade.then(|| hyper::upgrade::on(&mut request));
    let exchange = exchange(state, &client.session, request, viewer);
    match client.disconnect.run_until_cancelled(exchange).await {
        Some(Some(response)) => response,
        _ => status_response(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Splits `/id/rest?query` into the id and `/rest?query`. An empty rest becomes `/`.
fn split_client_id(uri: &Uri) -> Option<(String, Uri)> {
    let whole = uri.path_and_query()?.as_str().strip_prefix('/')?;
    let end = whole.find(['/', '?']).unwrap_or(whole.len());
    let (id, rest) = whole.split_at(end);
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    let rest = PathAndQuery::try_from(rest).ok()?;
    Some((id.to_owned(), Uri::from(rest)))
}

/// Sends a request through the tunnel and returns the response, whose body is still streamed.
async fn exchange(
    state: &Arc<TunnelServerState>,
    session: &Session,
    request: Request<Incoming>,
    viewer: Option<OnUpgrade>,
) -> Option<TunnelResponse> {
    let stream = session.open().await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    state.spawn(connection.with_upgrades());
    let mut response = sender.send_request(request).await.ok()?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        forward_upgraded(state, viewer?, hyper::upgrade::on(&mut response));
    } else {
        response.headers_mut().remove(header::CONNECTION);
    }
    Some(response.map(BodyExt::boxed))
}

/// Forwards the bytes of an upgraded connection. The real server forwards WebSocket messages.
fn forward_upgraded(state: &TunnelServerState, viewer: OnUpgrade, client: OnUpgrade) {
    state.spawn(async move {
        let (viewer, client) = tokio::try_join!(viewer, client).ok()?;
        let (mut viewer, mut client) = (TokioIo::new(viewer), TokioIo::new(client));
        copy_bidirectional(&mut viewer, &mut client).await.ok()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_is_split_from_the_path() {
        let check = |uri: &str, id: &str, rest: &str| {
            let uri = uri.parse().expect("a URI");
            let (found_id, found_rest) = split_client_id(&uri).expect("a client id");
            assert_eq!((&*found_id, &*found_rest.to_string()), (id, rest));
        };
        check("/a.b/x%2Fy//z?q=/", "a.b", "/x%2Fy//z?q=/");
        check("/a.b?q", "a.b", "/?q");
        check("/a.b", "a.b", "/");
    }
}
