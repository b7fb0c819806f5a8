//! Hooks behind a websocktunnel server.

mod faults;
mod reconnect;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use jiff::Timestamp;
use runtime_core::webhook::{Body, Handler, Response, WebHook, WebHookServer as _, from_fn};
use runtime_mocks::websocktunnel::WebsocktunnelServer;
use runtime_webhook::{TunnelToken, Websocktunnel, WebsocktunnelBuilder, token_fn};
use secrecy::SecretString;

pub(super) const ID: &str = "group.worker.1";

/// Responds with the method, the URI and the body of the request.
pub(super) fn echo() -> Arc<dyn Handler> {
    from_fn(|request| async move {
        let head = format!("{} {}\n", request.method(), request.uri());
        let body = request.into_body().collect().await.expect("a body");
        Response::new(Body::from(
            [head.into_bytes(), body.to_bytes().to_vec()].concat(),
        ))
    })
}

/// Returns the builder of a client with valid tokens.
pub(super) fn builder(server: &WebsocktunnelServer) -> WebsocktunnelBuilder {
    let token = server.token(ID, Duration::from_secs(3600));
    let tokens = token_fn(move || {
        let token = token.clone();
        async move { Ok(lasting(token)) }
    });
    Websocktunnel::builder(server.url(), ID, tokens)
}

pub(super) fn lasting(token: SecretString) -> TunnelToken {
    let expires = Timestamp::now() + Duration::from_secs(3600);
    TunnelToken { token, expires }
}

pub(super) async fn server() -> WebsocktunnelServer {
    WebsocktunnelServer::start().await.expect("a free port")
}

pub(super) async fn hook(tunnel: &Websocktunnel) -> WebHook {
    tunnel.attach(echo()).await.expect("attached")
}
