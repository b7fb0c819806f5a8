//! A tunnel through a websocktunnel server.

mod handshake;
mod reconnect;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::{Clock, SystemClock};

use self::handshake::Endpoint;
use self::reconnect::ReconnectingTunnel;
use self::token::TokenCache;
use crate::options::TunnelOptions;
use crate::server::AbortServerOnDrop;
use crate::shared_api::{tunnel, tunnel_option_methods};
use crate::tunnel_server::TunnelSetupError;
use crate::tunnel_state::TunnelState;
use crate::wsmux::SessionConfig;

pub use self::handshake::ConnectTunnelError;
pub use self::token::{TokenSource, TunnelToken, token_fn};

/// Serves hooks through a websocktunnel server, from behind any firewall.
///
/// One tunnel carries all hooks. It is opened for the first hook and kept open while a hook is attached.
/// When it breaks, it is opened again after a short random delay, with a new token if the previous one is
/// about to expire or was rejected. While the server rejects the client, the delay grows to a minute.
/// Requests in progress fail when the tunnel breaks.
///
/// If the server assigns another URL, hooks are notified through [`WebHook::url_changed`](runtime_core::webhook::WebHook::url_changed).
///
/// | metric | counts |
/// | --- | --- |
/// | `tunnel-connects` | opened tunnels |
/// | `tunnel-disconnects` | broken tunnels |
/// | `tunnel-connect-errors` | failed attempts to open the tunnel |
/// | `url-changes` | changes of the URL |
///
/// # Limitations
///
/// The protocol cannot abort a stream. The server therefore presents an aborted response with chunked
/// encoding to the viewer as complete. Interim responses such as 100 are not sent, since the server takes
/// them for the final response.
#[derive(Debug)]
pub struct Websocktunnel {
    server: AbortServerOnDrop,
    state: Arc<TunnelState>,
}

impl Websocktunnel {
    /// Returns a builder of a tunnel through the server at this URL, with the client id of the tokens.
    ///
    /// By convention the id is `<workerGroup>.<workerId>.<suffix>`. It must be unique: the server
    /// disconnects a client when another one connects with the same id.
    pub fn builder(
        server_url: impl Into<String>,
        client_id: impl Into<String>,
        tokens: Arc<dyn TokenSource>,
    ) -> WebsocktunnelBuilder {
        WebsocktunnelBuilder {
            server_url: server_url.into(),
            client_id: client_id.into(),
            tokens,
            session: SessionConfig::default(),
            clock: Arc::new(SystemClock::new()),
            options: TunnelOptions::default(),
        }
    }

    /// Returns whether the tunnel is open.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state.is_open()
    }

    /// Waits until the tunnel is open, or closed.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_connected(&self, is_connected: bool) {
        self.state.wait_open(is_connected).await;
    }
}

tunnel!(Websocktunnel);

/// Builder of a [`Websocktunnel`].
#[must_use = "call `start` to start the tunnel"]
pub struct WebsocktunnelBuilder {
    server_url: String,
    client_id: String,
    tokens: Arc<dyn TokenSource>,
    session: SessionConfig,
    clock: Arc<dyn Clock>,
    options: TunnelOptions,
}

impl WebsocktunnelBuilder {
    /// Sets the flow control windows of streams in bytes, see [`SessionConfig`].
    ///
    /// `receive` is 1 MiB by default. `assumed`, the window that the server is assumed to have, is 4 MiB by
    /// default; servers before version 94 have 1024 bytes.
    pub fn windows(mut self, receive: u32, assumed: u32) -> Self {
        self.session.receive_window = receive;
        self.session.assumed_window = assumed;
        self
    }

    /// Sets the interval of pings, by default 20 seconds as on the server. If no data is received between
    /// two pings, the tunnel is opened again.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.session.ping_interval = interval;
        self
    }

    tunnel_option_methods!();

    /// Sets the clock that determines when tokens expire.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the background task, which opens the tunnel when the first hook is attached. Requires a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// A [`WebsocktunnelError`] if the URL, the client id or the TLS configuration is invalid.
    pub fn start(self) -> Result<Websocktunnel, WebsocktunnelError> {
        if !is_client_id(&self.client_id) {
            let client_id = self.client_id;
            return Err(WebsocktunnelError::ClientId { client_id });
        }
        let max_reconnect_delay = self.options.max_reconnect_delay;
        let (server, state, tunnel_server) = self.options.into_parts(&self.server_url)?;
        let tunnel = ReconnectingTunnel {
            state: Arc::clone(&state),
            endpoint: Endpoint {
                server: tunnel_server,
                client_id: self.client_id,
            },
            session: self.session,
            tokens: TokenCache::new(self.tokens, self.clock),
            max_reconnect_delay,
        };
        server.tasks.spawn(tunnel.run());
        Ok(Websocktunnel { server, state })
    }
}

impl fmt::Debug for WebsocktunnelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebsocktunnelBuilder")
            .field("server_url", &self.server_url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Returns whether the server allows all characters of this id.
fn is_client_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte);
    !id.is_empty() && id.bytes().all(is_allowed)
}

/// The options of a tunnel are invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebsocktunnelError {
    /// The URL or the TLS configuration is invalid.
    #[error(transparent)]
    Setup(#[from] TunnelSetupError),

    /// The server does not allow the client id.
    #[error("invalid tunnel client id `{client_id}`: only letters, digits and `_~.%-` are allowed")]
    ClientId {
        /// The id.
        client_id: String,
    },
}
