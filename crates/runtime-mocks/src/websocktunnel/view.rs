//! Viewers: their requests go through the tunnel of a client, each on a stream of its own.

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

use super::Shared;
use super::answer::{Answer, plain};

/// Answers a request to a client.
pub(super) async fn view(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Answer {
    let Some((id, rest)) = split(request.uri()) else {
        return plain(StatusCode::GATEWAY_TIMEOUT);
    };
    let Some(client) = shared.client(&id) else {
        return plain(StatusCode::GATEWAY_TIMEOUT);
    };
    let original = HeaderValue::from_str(request.uri().path());
    *request.uri_mut() = rest;
    let headers = request.headers_mut();
    if let Ok(original) = original {
        headers.insert("x-websocktunnel-original-path", original);
    }
    let is_upgrade = headers.contains_key(header::UPGRADE);
    if !is_upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let viewer = is_upgrade.then(|| hyper::upgrade::on(&mut request));
    let exchange = exchange(shared, &client.session, request, viewer);
    match client.cut.run_until_cancelled(exchange).await {
        Some(Some(answer)) => answer,
        _ => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Splits `/id/rest?query` into the id and `/rest?query`; without a rest it is `/`.
fn split(uri: &Uri) -> Option<(String, Uri)> {
    let whole = uri.path_and_query()?.as_str().strip_prefix('/')?;
    let end = whole.find(['/', '?']).unwrap_or(whole.len());
    let (id, rest) = whole.split_at(end);
    let rest = match rest.starts_with('/') {
        true => rest.to_owned(),
        false => format!("/{rest}"),
    };
    let rest = PathAndQuery::try_from(rest).ok()?;
    Some((id.to_owned(), Uri::from(rest)))
}

/// Sends a request through the tunnel and returns the head of its answer.
async fn exchange(
    shared: &Arc<Shared>,
    session: &Session,
    request: Request<Incoming>,
    viewer: Option<OnUpgrade>,
) -> Option<Answer> {
    let stream = session.open().await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let killed = shared.killed.clone();
    shared
        .tasks
        .spawn(async move { killed.run_until_cancelled(connection.with_upgrades()).await });
    let mut response = sender.send_request(request).await.ok()?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        bridge(shared, viewer?, hyper::upgrade::on(&mut response));
    } else {
        response.headers_mut().remove(header::CONNECTION);
    }
    Some(response.map(BodyExt::boxed))
}

/// Passes bytes on. The real server passes WebSocket messages on, one by one.
fn bridge(shared: &Shared, viewer: OnUpgrade, client: OnUpgrade) {
    let killed = shared.killed.clone();
    shared.tasks.spawn(async move {
        let bridge = async {
            let (viewer, client) = tokio::try_join!(viewer, client).ok()?;
            let (mut viewer, mut client) = (TokioIo::new(viewer), TokioIo::new(client));
            copy_bidirectional(&mut viewer, &mut client).await.ok()
        };
        killed.run_until_cancelled(bridge).await
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_cut_off_and_the_rest_stays_as_it_is() {
        let check = |uri: &str, id: &str, rest: &str| {
            let (found, found_rest) = split(&uri.parse().expect("a URI")).expect("an id");
            assert_eq!(
                (found.as_str(), found_rest.to_string().as_str()),
                (id, rest)
            );
        };
        check("/a.b/x%2Fy//z?q=/", "a.b", "/x%2Fy//z?q=/");
        check("/a.b?q", "a.b", "/?q");
        check("/a.b", "a.b", "/");
    }
}
