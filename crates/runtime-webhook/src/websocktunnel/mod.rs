//! A way out through a websocktunnel server.

mod connect;
mod run;
mod token;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::clock::{Clock, SystemClock};
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};

use self::connect::Target;
use self::run::Tunnel;
use self::token::Tokens;
use crate::OnDetach;
use crate::dial::{Address, UrlError};
use crate::gate::Gate;
use crate::settings::{TunnelSettings, tunnel_methods};
use crate::wsmux::SessionConfig;

pub use self::connect::ConnectTunnelError;
pub use self::token::{TokenSource, TunnelToken, token_fn};

/// Gives hooks a URL through a websocktunnel server, from behind any firewall.
///
/// One tunnel carries all hooks. It is opened with the first one, and kept open as long as a hook is attached:
/// whenever it breaks, it is opened again after a short random wait, with a new token if the old one is about
/// to expire or was refused. A server that refuses the client is asked again once a minute at most. Requests
/// that were under way when it broke are lost, none is mixed up.
///
/// If the server gives another URL, hooks hear of it by [`WebHook::url_changed`].
///
/// | metric | counts |
/// | --- | --- |
/// | `tunnel-connects` | tunnels that were opened |
/// | `tunnel-disconnects` | tunnels that broke |
/// | `tunnel-connect-errors` | attempts that failed |
/// | `url-changes` | other URLs than before |
///
/// # Limitations
///
/// The server hands a body that was cut to the viewer as if it were complete when it is sent in chunks:
/// the protocol has nothing to cut a stream with. An interim answer such as 100 would be taken for the
/// answer, so none is sent.
#[derive(Debug)]
pub struct Websocktunnel {
    tunnel: Arc<Tunnel>,
}

impl Websocktunnel {
    /// Sets up a tunnel through the server at this URL, for a client id that the tokens are for.
    ///
    /// By custom the id is `<workerGroup>.<workerId>.<something>`. No two clients may use the same: the
    /// server throws out the first when the second comes.
    pub fn builder(
        server_url: impl Into<String>,
        client_id: impl Into<String>,
        tokens: Arc<dyn TokenSource>,
    ) -> WebsocktunnelBuilder {
        WebsocktunnelBuilder {
            server_url: server_url.into(),
            client_id: client_id.into(),
            tokens,
            windows: SessionConfig::default(),
            clock: Arc::new(SystemClock),
            settings: TunnelSettings::default(),
        }
    }

    /// Attaches `handler`, and says what becomes of running requests when the hook is dropped.
    ///
    /// It waits until the tunnel was open once; while it is broken later, hooks are attached at the URL that
    /// it had.
    ///
    /// # Errors
    ///
    /// [`AttachError::Unreachable`] with a [`ConnectTunnelError`] if the tunnel could not be opened in the
    /// [time](WebsocktunnelBuilder::attach_timeout) for it, [`AttachError::Stopped`] after [`stop`](Self::stop).
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing stays attached.
    pub async fn attach_with(
        &self,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<WebHook, AttachError> {
        let Tunnel { server, gate, .. } = &*self.tunnel;
        gate.attach(server, handler, on_detach).await
    }

    /// Says whether the tunnel is open at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.tunnel.gate.is_open()
    }

    /// Waits until the tunnel is open, or broken.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn wait_connected(&self, is_connected: bool) {
        self.tunnel.gate.wait_open(is_connected).await;
    }

    /// Accepts no more requests, lets running ones finish for as long as `grace`, cuts those that are left
    /// and closes the tunnel. Returns how many were cut.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: no more requests are accepted, and another call goes on waiting.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.tunnel.server.stop(grace).await
    }
}

#[async_trait]
impl WebHookServer for Websocktunnel {
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        self.attach_with(handler, OnDetach::Finish).await
    }
}

impl Drop for Websocktunnel {
    fn drop(&mut self) {
        self.tunnel.server.end();
    }
}

/// Sets up a [`Websocktunnel`].
#[must_use = "call `start` to have a server"]
pub struct WebsocktunnelBuilder {
    server_url: String,
    client_id: String,
    tokens: Arc<dyn TokenSource>,
    windows: SessionConfig,
    clock: Arc<dyn Clock>,
    settings: TunnelSettings,
}

impl WebsocktunnelBuilder {
    /// How many bytes of a stream this end takes before it has read some, 1 MiB by default, and how many the
    /// server is taken to take, 4 MiB by default; 1024 suits servers before version 94.
    pub fn windows(mut self, receive: u32, assumed: u32) -> Self {
        self.windows.receive_window = receive;
        self.windows.assumed_window = assumed;
        self
    }

    /// Pings the server this often; if nothing comes between two pings, the tunnel is opened anew.
    /// 20 seconds by default, as the server does.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.windows.ping_interval = interval;
        self
    }

    tunnel_methods!();

    /// Takes the time at which tokens expire from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts; the tunnel is opened when a hook is attached. It has to be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// A [`SetupError`] if the URL, the client id or the TLS configuration cannot work.
    pub fn start(mut self) -> Result<Websocktunnel, SetupError> {
        let (address, uri) = Address::parse(&self.server_url)?;
        if !is_client_id(&self.client_id) {
            let client_id = self.client_id;
            return Err(SetupError::ClientId { client_id });
        }
        let tls = self.settings.tls()?;
        let tunnel = Arc::new(Tunnel {
            server: self.settings.common.server(),
            target: Target {
                address,
                uri,
                client_id: self.client_id,
                tls,
            },
            windows: self.windows,
            max_wait: self.settings.max_wait,
            gate: Arc::new(Gate::new(self.settings.attach_timeout)),
        });
        let tokens = Tokens::new(self.tokens, self.clock);
        let running = Arc::clone(&tunnel).run(tokens);
        tunnel.server.tasks.spawn(running);
        Ok(Websocktunnel { tunnel })
    }
}

impl std::fmt::Debug for WebsocktunnelBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebsocktunnelBuilder")
            .field("server_url", &self.server_url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The characters that the server allows.
fn is_client_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte);
    !id.is_empty() && id.bytes().all(fits)
}

/// A tunnel cannot work as it is set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The URL of the server is none.
    #[error("the URL of the tunnel server is not right")]
    Url(#[from] UrlError),

    /// The server allows no such id.
    #[error(
        "`{client_id}` cannot be the id of a tunnel's client: only letters, digits and `_~.%-` are allowed"
    )]
    ClientId {
        /// What was given.
        client_id: String,
    },

    /// There is no way to trust a server.
    #[error("cannot set up TLS for the tunnel")]
    Tls(#[from] runtime_http::TlsError),
}
