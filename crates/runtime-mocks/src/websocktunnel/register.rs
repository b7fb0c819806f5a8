//! Registration of clients, which open a WebSocket and keep it.

use std::sync::Arc;

use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use runtime_webhook::wsmux::{Role, Session, SessionConfig};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::response::{TunnelResponse, empty, status_response};
use super::state::TunnelServerState;

/// The receive window of each stream in bytes. Clients assume this size without negotiation.
const RECEIVE_WINDOW: u32 = 4 << 20;

/// Returns whether a request is the registration of a client.
pub(super) fn is_registration(request: &Request<Incoming>) -> bool {
    request.uri().path() == "/"
}

/// Responds to a registration, and runs the session of the client in the background.
pub(super) fn register(
    state: &Arc<TunnelServerState>,
    mut request: Request<Incoming>,
) -> TunnelResponse {
    let id = match check(state, request.headers()) {
        Ok(id) => id,
        Err(status) => return status_response(status),
    };
    let accept = match request.headers().get(SEC_WEBSOCKET_KEY) {
        Some(key) => derive_accept_key(key.as_bytes()),
        None => return status_response(StatusCode::BAD_REQUEST),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let url = state.client_url(&id);
    let (tasks, state) = (state.tasks.clone(), Arc::clone(state));
    // Not `state.spawn`: the session ends by its own token, and then removes the client.
    tasks.spawn(async move {
        if let Ok(io) = upgrade.await {
            run_session(&state, id, io).await;
        }
    });
    switching_protocols(&accept, &url)
}

/// Returns the id of a client that may register.
fn check(state: &TunnelServerState, headers: &HeaderMap) -> Result<String, StatusCode> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_upgrade = text("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if !is_upgrade {
        return Err(StatusCode::NOT_FOUND);
    }
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte);
    let id = text("x-websocktunnel-id").unwrap_or_default();
    if id.is_empty() || !id.bytes().all(is_valid) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let token = text("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::BAD_REQUEST)?;
    state
        .key
        .verify(token, id)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    Ok(id.to_owned())
}

fn switching_protocols(accept: &str, url: &str) -> TunnelResponse {
    let mut response = status_response(StatusCode::SWITCHING_PROTOCOLS);
    let fields = [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_ACCEPT, accept),
        (HeaderName::from_static("x-websocktunnel-client-url"), url),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    *response.body_mut() = empty();
    response
}

/// Runs a session until it ends, is disconnected, or is replaced by one with the same client id.
async fn run_session(state: &TunnelServerState, id: String, io: Upgraded) {
    let mut config = SessionConfig::default();
    config.receive_window = RECEIVE_WINDOW;
    let (session, driver) = Session::start(TokioIo::new(io), Role::Server, config).await;
    let client = state.add_client(&id, session);
    client.disconnect.run_until_cancelled(driver).await;
    // `disconnect` is not cancelled here: responses that arrived before the client closed the
    // session are still forwarded.
    state.remove_connection(&id, client.connection_id);
}
