//! Clients: they register by a WebSocket, and keep it open.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use runtime_webhook::wsmux::{Role, Session, SessionConfig};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::answer::{Answer, plain};

/// A client that is connected.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) session: Session,
    /// Cuts its connection.
    pub(super) cut: CancellationToken,
    /// Tells it from others with the same id.
    pub(super) connection: u64,
}

/// Answers a request to register.
pub(super) fn register(shared: &Arc<Shared>, mut request: Request<Incoming>) -> Answer {
    let id = match check(shared, request.headers()) {
        Ok(id) => id,
        Err(status) => return plain(status),
    };
    let accept = match request.headers().get(header::SEC_WEBSOCKET_KEY) {
        Some(key) => derive_accept_key(key.as_bytes()),
        None => return plain(StatusCode::BAD_REQUEST),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let url = shared.client_url(&id);
    let tasks = shared.tasks.clone();
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        if let Ok(io) = upgrade.await {
            run(&shared, id, io).await;
        }
    });
    switch(&accept, &url)
}

/// The id of a client that may register.
fn check(shared: &Shared, headers: &HeaderMap) -> Result<String, StatusCode> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_upgrade = text("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if !is_upgrade {
        return Err(StatusCode::NOT_FOUND);
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte);
    let id = text("x-websocktunnel-id").unwrap_or_default();
    if id.is_empty() || !id.bytes().all(fits) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let token = text("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::BAD_REQUEST)?;
    shared
        .key
        .check(token, id)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    Ok(id.to_owned())
}

fn switch(accept: &str, url: &str) -> Answer {
    let mut answer = plain(StatusCode::SWITCHING_PROTOCOLS);
    let fields = [
        (header::CONNECTION.as_str(), "Upgrade"),
        (header::UPGRADE.as_str(), "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT.as_str(), accept),
        ("x-websocktunnel-client-url", url),
    ];
    for (name, value) in fields {
        let name = header::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    *answer.body_mut() = super::answer::empty();
    answer
}

/// Runs a session until it ends, is cut, or another client comes with the same id.
async fn run(shared: &Shared, id: String, io: hyper::upgrade::Upgraded) {
    let mut config = SessionConfig::default();
    // What clients assume.
    config.receive_window = 4 << 20;
    let (session, driver) = Session::start(TokioIo::new(io), Role::Server, config).await;
    let cut = shared.killed.child_token();
    let connection = shared.next.fetch_add(1, Ordering::Relaxed);
    let client = Client {
        session,
        cut: cut.clone(),
        connection,
    };
    if let Some(before) = shared.insert(&id, client) {
        before.cut.cancel();
    }
    cut.run_until_cancelled(driver).await;
    // Answers that came before a goodbye are still passed on.
    shared.remove(&id, connection);
}

/// Says whether a request is one to register.
pub(super) fn is_registration(request: &Request<Incoming>) -> bool {
    request.uri().path() == "/"
}
