//! A tunnel through a localtunnel server, for tests.

mod registration;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use runtime_http::Backoff;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use self::registration::{Registration, register};
use crate::options::TunnelOptions;
use crate::server::{AbortServerOnDrop, ConnectionKind, spawn_connection};
use crate::shared_api::{tunnel, tunnel_option_methods};
use crate::tunnel_server::TunnelServer;
use crate::tunnel_state::TunnelState;

pub use self::registration::LocaltunnelError;

/// The upper bound of the first delay before a reconnect.
const INITIAL_RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// The backoff continues after a connection that lasted less, and starts over otherwise.
const MIN_STABLE_CONNECTION: Duration = Duration::from_secs(1);

/// Serves hooks through a localtunnel server, for tests.
///
/// The server is open to everyone, and connections to it are not encrypted: its operator and the network
/// can read all traffic. The server removes a tunnel without connections after a second. The tunnel is then
/// opened again, possibly with another URL, see [`WebHook::url_changed`](runtime_core::webhook::WebHook::url_changed).
#[derive(Debug)]
pub struct Localtunnel {
    server: AbortServerOnDrop,
    state: Arc<TunnelState>,
}

impl Localtunnel {
    /// Returns a builder of a tunnel through the server at this URL.
    pub fn builder(server_url: impl Into<String>) -> LocaltunnelBuilder {
        LocaltunnelBuilder {
            server_url: server_url.into(),
            subdomain: None,
            options: TunnelOptions::default(),
        }
    }
}

tunnel!(Localtunnel);

/// The background work of a tunnel.
struct ConnectionOpener {
    state: Arc<TunnelState>,
    server: TunnelServer,
    subdomain: Option<String>,
    max_reconnect_delay: Duration,
}

impl ConnectionOpener {
    /// Keeps the tunnel open while hooks are attached, until the server stops.
    async fn run(self) {
        let mut backoff = Backoff::new(INITIAL_RECONNECT_DELAY);
        let keep_open = async {
            loop {
                self.state.wait_for_hook().await;
                match register(&self.server, self.subdomain.as_deref()).await {
                    Ok(registration) => self.serve(&registration, &mut backoff).await,
                    Err(error) => self.state.set_error(error),
                }
                sleep(backoff.next_delay(self.max_reconnect_delay)).await;
            }
        };
        let stopping = &self.state.server.stopping;
        stopping.run_until_cancelled(keep_open).await;
    }

    /// Keeps as many idle connections open as the server wants, until it rejects one.
    async fn serve(&self, registration: &Registration, backoff: &mut Backoff) {
        let start = Instant::now();
        self.state.set_open(&registration.base_url);
        let connections =
            (0..registration.connections).map(|_| Box::pin(self.keep_connected(registration)));
        // The first failure ends the tunnel. The other connections are tasks of the server, so their requests finish.
        let (error, ..) = select_all(connections).await;
        self.state.set_closed();
        let monitor = &self.state.server.monitor;
        monitor.count("tunnel-disconnects", 1);
        let Registration { host, port, .. } = registration;
        monitor.warn(format_args!(
            "tunnel closed, reconnecting: cannot connect to {host}:{port}: {error}"
        ));
        if start.elapsed() >= MIN_STABLE_CONNECTION {
            backoff.reset();
        }
    }

    /// Replaces each connection that ends, until a connection is refused.
    ///
    /// The server closes its port when it removes the tunnel, so a refused connection means that the tunnel
    /// has to be registered again.
    async fn keep_connected(&self, registration: &Registration) -> io::Error {
        let server = &self.state.server;
        let mut backoff = Backoff::new(INITIAL_RECONNECT_DELAY);
        loop {
            let permit = server.connections.acquire().await;
            let stream = TcpStream::connect((registration.host.as_str(), registration.port)).await;
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => return error,
            };
            let start = Instant::now();
            // An error means that the connection is closed, which serving reports.
            let _ = stream.set_nodelay(true);
            // Also waits for a task that panics.
            let _ = spawn_connection(server, stream, permit, ConnectionKind::Localtunnel).await;
            // A server that accepts and closes at once would otherwise cause a busy loop.
            if start.elapsed() < MIN_STABLE_CONNECTION {
                sleep(backoff.next_delay(self.max_reconnect_delay)).await;
            } else {
                backoff.reset();
            }
        }
    }
}

/// Builder of a [`Localtunnel`].
#[derive(Debug)]
#[must_use = "call `start` to start the tunnel"]
pub struct LocaltunnelBuilder {
    server_url: String,
    subdomain: Option<String>,
    options: TunnelOptions,
}

impl LocaltunnelBuilder {
    /// Requests a certain subdomain. By default the server chooses one.
    pub fn subdomain(mut self, name: impl Into<String>) -> Self {
        self.subdomain = Some(name.into());
        self
    }

    tunnel_option_methods!();

    /// Starts the background task, which opens the tunnel when the first hook is attached. Requires a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// A [`LocaltunnelError`] if the URL, the subdomain or the TLS configuration is invalid.
    pub fn start(self) -> Result<Localtunnel, LocaltunnelError> {
        if let Some(subdomain) = self.subdomain.as_ref().filter(|name| !is_subdomain(name)) {
            let subdomain = subdomain.clone();
            return Err(LocaltunnelError::Subdomain { subdomain });
        }
        let max_reconnect_delay = self.options.max_reconnect_delay;
        let (server, state, tunnel_server) = self.options.into_parts(&self.server_url)?;
        server.monitor.warn(
            "localtunnel is for tests only: its server is open to everyone and can read all traffic",
        );
        let tunnel = ConnectionOpener {
            state: Arc::clone(&state),
            server: tunnel_server,
            subdomain: self.subdomain,
            max_reconnect_delay,
        };
        server.tasks.spawn(tunnel.run());
        Ok(Localtunnel { server, state })
    }
}

/// Returns whether the server allows this subdomain.
fn is_subdomain(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (4..=63).contains(&name.len()) && name.bytes().all(is_allowed)
}
