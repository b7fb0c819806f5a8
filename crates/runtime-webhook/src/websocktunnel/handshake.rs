//! Registers a client with a websocktunnel server by a WebSocket handshake.

use http::request::Builder;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use runtime_core::BoxError;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::tunnel_server::{TunnelServer, TunnelServerError};

/// The maximum length of the reason in an error response.
const MAX_REASON_BYTES: usize = 1024;

/// The server and the id of this client.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) server: TunnelServer,
    pub(super) client_id: String,
}

/// A registered connection.
#[derive(Debug)]
pub(super) struct TunnelConnection {
    pub(super) io: TokioIo<Upgraded>,
    /// The public URL of the client, with a trailing slash.
    pub(super) base_url: String,
}

/// The tunnel cannot be opened. The attempt is repeated while a hook is attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectTunnelError {
    /// The token source failed.
    #[error(
        "cannot get a token for the tunnel client `{client_id}`; this requires the scope `auth:websocktunnel-token:<audience>/{client_id}`"
    )]
    Token {
        /// The id of the client.
        client_id: String,
        /// The error of the token source.
        source: BoxError,
    },

    /// The handshake failed.
    #[error(transparent)]
    Server(#[from] TunnelServerError),

    /// The server rejected the client.
    #[error(
        "the tunnel server rejected the client `{client_id}` with status {status}: {reason:?}{}",
        advice(*status)
    )]
    Refused {
        /// The id of the client.
        client_id: String,
        /// The status: 400 for an id with invalid characters, 401 for an invalid token.
        status: StatusCode,
        /// The reason given by the server.
        reason: String,
    },
}

/// Returns the advice for a rejected client.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; check the audience of the tokens and the clock of this machine"
        }
        StatusCode::NOT_FOUND => "; check the URL: the server accepts clients at its root",
        _ => "",
    }
}

impl ConnectTunnelError {
    /// Returns whether a repeated attempt will probably be rejected as well.
    pub(super) fn is_rejection(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_client_error())
    }

    /// Returns whether another token may be accepted.
    pub(super) fn is_token_rejection(&self) -> bool {
        matches!(self, Self::Refused { status, .. }
            if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }
}

impl Endpoint {
    pub(super) fn token_error(&self, source: BoxError) -> ConnectTunnelError {
        ConnectTunnelError::Token {
            client_id: self.client_id.clone(),
            source,
        }
    }

    /// Connects to the server and registers this client.
    pub(super) async fn connect(
        &self,
        token: &SecretString,
    ) -> Result<TunnelConnection, ConnectTunnelError> {
        self.server.with_timeout(self.register(token)).await
    }

    async fn register(&self, token: &SecretString) -> Result<TunnelConnection, ConnectTunnelError> {
        let key = generate_key();
        let exchange = self.server.send(self.request(token, &key)?).await?;
        if exchange.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.rejection(exchange.response).await);
        }
        let invalid = |error: BoxError| self.server.invalid_response(error);
        let base_url = base_url(&exchange.response, &key).map_err(|error| invalid(error.into()))?;
        // After the upgrade the connection task has ended by itself, and dropping `exchange` aborts nothing.
        let io = hyper::upgrade::on(exchange.response).await;
        let io = TokioIo::new(io.map_err(|error| invalid(error.into()))?);
        Ok(TunnelConnection { io, base_url })
    }

    fn request(&self, token: &SecretString, key: &str) -> Result<Builder, ConnectTunnelError> {
        // With a capital letter: the server answers `bearer` with 400.
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer)
            .map_err(|_| self.token_error("invalid characters in the token".into()))?;
        // Hides the token in `Debug` output.
        bearer.set_sensitive(true);
        let path = self.server.uri.path_and_query();
        Ok(self
            .server
            .get(path.map_or("/", |path| path.as_str()))
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, key)
            .header(header::AUTHORIZATION, bearer)
            .header("x-websocktunnel-id", &self.client_id))
    }

    async fn rejection(&self, response: Response<Incoming>) -> ConnectTunnelError {
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_REASON_BYTES);
        let reason = body.collect().await.map(|body| body.to_bytes());
        ConnectTunnelError::Refused {
            client_id: self.client_id.clone(),
            status,
            reason: String::from_utf8_lossy(&reason.unwrap_or_default())
                .trim()
                .to_owned(),
        }
    }
}

/// Checks the WebSocket handshake, and returns the public URL of the client.
fn base_url(response: &Response<Incoming>, key: &str) -> Result<String, &'static str> {
    let headers = response.headers();
    // RFC 6455: proves that the server understood the request as a WebSocket handshake, which a cache or a plain HTTP
    // server does not.
    let expected = derive_accept_key(key.as_bytes());
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != expected.as_bytes()) {
        return Err("invalid WebSocket handshake");
    }
    // The server may serve its clients at another host than the one that they connect to, so the
    // URL is not derived from that of the server.
    let url = headers
        .get("x-websocktunnel-client-url")
        .and_then(|url| url.to_str().ok())
        .ok_or("no `x-websocktunnel-client-url` header")?;
    Ok(format!("{}/", url.trim_end_matches('/')))
}
