//! Registers a client: the handshake with the server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use runtime_core::BoxError;
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::AbortOnDropHandle;

use crate::dial::{self, Address};

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is read of the reason that a server gives for a refusal.
const REASON: usize = 1024;

/// The server to connect to, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) uri: Uri,
    pub(super) client_id: String,
    pub(super) tls: Arc<ClientConfig>,
}

/// A registered connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) io: TokioIo<Upgraded>,
    /// What viewers put before the paths of hooks, with a slash at the end.
    pub(super) base: String,
}

/// A tunnel could not be opened. It is tried again, as long as a hook is attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectTunnelError {
    /// There is no token to show to the server.
    #[error(
        "cannot get a token for the tunnel's client `{client_id}`; it takes the scope `auth:websocktunnel-token:<audience>/{client_id}`"
    )]
    Token {
        /// The id of the client.
        client_id: String,
        /// What the source of tokens said.
        source: BoxError,
    },

    /// The server cannot be reached.
    #[error(
        "cannot connect to the tunnel server at {host}:{port}; if it is up, check its URL and whether a firewall is in the way"
    )]
    Unreachable {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// What the operating system or TLS said.
        source: io::Error,
    },

    /// The server did not answer as HTTP servers do.
    #[error(
        "what answers at {host}:{port} does not seem to be a websocktunnel server; check the URL"
    )]
    Http {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// What is wrong with the answer.
        source: BoxError,
    },

    /// The server does not want this client.
    #[error(
        "the tunnel server refused the client `{client_id}` with status {status}: {reason:?}{}",
        advice(*status)
    )]
    Refused {
        /// The id of the client.
        client_id: String,
        /// 400 for an id with characters that are not allowed, 401 for a token that does not hold.
        status: StatusCode,
        /// What the server said about it.
        reason: String,
    },

    /// It took too long.
    #[error("the tunnel server at {host}:{port} did not answer in {seconds} s")]
    Timeout {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// How long it had.
        seconds: u64,
    },
}

/// What to do about a refusal.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; its tokens must be of the server's audience, and this machine's clock must be right"
        }
        StatusCode::NOT_FOUND => "; check the URL: the server takes clients at its root",
        _ => "",
    }
}

impl ConnectTunnelError {
    /// Whether the server gave an answer that waiting will hardly change.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_client_error())
    }

    /// Whether another token may change the answer.
    pub(super) fn is_about_the_token(&self) -> bool {
        matches!(self, Self::Refused { status, .. }
            if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }
}

impl Target {
    pub(super) fn no_token(&self, source: BoxError) -> ConnectTunnelError {
        ConnectTunnelError::Token {
            client_id: self.client_id.clone(),
            source,
        }
    }

    fn unreachable(&self, source: io::Error) -> ConnectTunnelError {
        let Address { host, port, .. } = self.address.clone();
        ConnectTunnelError::Unreachable { host, port, source }
    }

    fn improper(&self, error: impl Into<BoxError>) -> ConnectTunnelError {
        let Address { host, port, .. } = self.address.clone();
        let source = error.into();
        ConnectTunnelError::Http { host, port, source }
    }

    fn timeout(&self) -> ConnectTunnelError {
        let Address { host, port, .. } = self.address.clone();
        let seconds = TIMEOUT.as_secs();
        ConnectTunnelError::Timeout {
            host,
            port,
            seconds,
        }
    }
}

/// Connects and registers.
pub(super) async fn connect(
    target: &Target,
    token: &SecretString,
) -> Result<Link, ConnectTunnelError> {
    let result = timeout(TIMEOUT, register(target, token)).await;
    result.unwrap_or_else(|_| Err(target.timeout()))
}

async fn register(target: &Target, token: &SecretString) -> Result<Link, ConnectTunnelError> {
    let address = &target.address;
    let connection = dial::connect(address, &target.tls).await;
    let connection = connection.map_err(|source| target.unreachable(source))?;
    let handshake = http1::handshake(TokioIo::new(connection)).await;
    let (mut sender, connection) = handshake.map_err(|error| target.improper(error))?;
    // Ends by itself with the upgrade, and with this function otherwise.
    let running = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
    let key = generate_key();
    let request = request(target, token, &key)?;
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| target.improper(error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(target, response).await);
    }
    let base = check(&response, &key).map_err(|error| target.improper(error))?;
    let io = hyper::upgrade::on(response).await;
    let io = io.map_err(|error| target.improper(error))?;
    drop(running);
    let io = TokioIo::new(io);
    Ok(Link { io, base })
}

fn request(
    target: &Target,
    token: &SecretString,
    key: &str,
) -> Result<Request<Empty<Bytes>>, ConnectTunnelError> {
    let bearer = format!("Bearer {}", token.expose_secret());
    let mut bearer = HeaderValue::try_from(bearer)
        .map_err(|_| target.no_token("it has characters that no header may have".into()))?;
    bearer.set_sensitive(true);
    let authority = target
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let path = target
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .header(header::AUTHORIZATION, bearer)
        .header("x-websocktunnel-id", &target.client_id)
        .body(Empty::new())
        .map_err(|error| target.improper(error))
}

/// Checks that the server speaks WebSocket, and reads the URL of the client.
fn check(response: &Response<Incoming>, key: &str) -> Result<String, &'static str> {
    let headers = response.headers();
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err("it does not speak WebSocket");
    }
    let url = headers
        .get("x-websocktunnel-client-url")
        .and_then(|url| url.to_str().ok())
        .ok_or("it gave no x-websocktunnel-client-url")?;
    Ok(format!("{}/", url.trim_end_matches('/')))
}

async fn refusal(target: &Target, response: Response<Incoming>) -> ConnectTunnelError {
    let status = response.status();
    let body = Limited::new(response.into_body(), REASON).collect().await;
    let reason = body.map(|body| body.to_bytes()).unwrap_or_default();
    ConnectTunnelError::Refused {
        client_id: target.client_id.clone(),
        status,
        reason: String::from_utf8_lossy(&reason).trim().to_owned(),
    }
}
