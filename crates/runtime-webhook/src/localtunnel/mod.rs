//! A way out through a localtunnel server.

mod register;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::select_all;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};
use runtime_http::Backoff;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use self::register::{Registration, Target, register};
use crate::OnDetach;
use crate::dial::Address;
use crate::gate::Gate;
use crate::server::{Origin, Server};
use crate::settings::{TunnelSettings, tunnel_methods};

pub use self::register::LocaltunnelError;

/// The first wait before another attempt.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// A connection that lasts less is followed by a wait.
const SHORT: Duration = Duration::from_secs(1);

/// Gives hooks a URL through a server of localtunnel, for tests.
///
/// The server takes everybody, and connections to it are not encrypted: whoever runs it, or listens on the
/// way, sees what passes. It forgets a tunnel that has no connection for a second; then the tunnel is opened
/// anew, and may have another URL, see [`WebHook::url_changed`].
#[derive(Debug)]
pub struct Localtunnel {
    tunnel: Arc<Tunnel>,
}

#[derive(Debug)]
struct Tunnel {
    server: Arc<Server>,
    gate: Arc<Gate>,
    target: Target,
    max_wait: Duration,
}

impl Localtunnel {
    /// Sets up a tunnel through the server at this URL.
    pub fn builder(server_url: impl Into<String>) -> LocaltunnelBuilder {
        LocaltunnelBuilder {
            server_url: server_url.into(),
            subdomain: None,
            settings: TunnelSettings::default(),
        }
    }

    /// Attaches `handler`, and says what becomes of running requests when the hook is dropped.
    ///
    /// # Errors
    ///
    /// [`AttachError::Unreachable`] with a [`LocaltunnelError`] if the tunnel could not be opened in time,
    /// [`AttachError::Stopped`] after [`stop`](Self::stop).
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

    /// Accepts no more requests, lets running ones finish for as long as `grace`, and cuts those that are
    /// left. Returns how many connections were cut, those that waited for a request included.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: no more requests are accepted, and another call goes on waiting.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.tunnel.server.stop(grace).await
    }
}

#[async_trait]
impl WebHookServer for Localtunnel {
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        self.attach_with(handler, OnDetach::Finish).await
    }
}

impl Drop for Localtunnel {
    fn drop(&mut self) {
        self.tunnel.server.end();
    }
}

impl Tunnel {
    /// Opens the tunnel whenever there are hooks, until the server stops.
    async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::new(FIRST_WAIT);
        let opening = async {
            loop {
                self.gate.wanted().await;
                match register(&self.target).await {
                    Ok(registration) => self.hold(&registration, &mut backoff).await,
                    Err(error) => self.gate.failed(&self.server, error),
                }
                sleep(backoff.next_delay(self.max_wait)).await;
            }
        };
        self.server.stopping.run_until_cancelled(opening).await;
    }

    /// Keeps as many connections open as the server wants, until it takes no more.
    async fn hold(&self, registration: &Registration, backoff: &mut Backoff) {
        let since = Instant::now();
        self.gate.opened(&self.server, &registration.base);
        let connections =
            (0..registration.connections).map(|_| Box::pin(self.keep_connected(registration)));
        let (error, ..) = select_all(connections).await;
        self.gate.closed();
        let monitor = &self.server.monitor;
        monitor.count("tunnel-disconnects", 1);
        let Registration { host, port, .. } = registration;
        monitor.warn(format_args!(
            "the tunnel ended, and is opened anew: cannot connect to {host}:{port}: {error}"
        ));
        if since.elapsed() >= SHORT {
            backoff.reset();
        }
    }

    /// Opens a connection again whenever the last one is over, until that fails.
    async fn keep_connected(&self, registration: &Registration) -> io::Error {
        let mut backoff = Backoff::new(FIRST_WAIT);
        loop {
            let place = self.server.connections.place().await;
            let stream = TcpStream::connect((registration.host.as_str(), registration.port)).await;
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => return error,
            };
            let since = Instant::now();
            // A connection that is gone already shows when it is served.
            let _ = stream.set_nodelay(true);
            // A task that panicked has ended, too.
            let _ = self.server.spawn(stream, place, Origin::Localtunnel).await;
            if since.elapsed() < SHORT {
                sleep(backoff.next_delay(self.max_wait)).await;
            } else {
                backoff.reset();
            }
        }
    }
}

/// Sets up a [`Localtunnel`].
#[derive(Debug)]
#[must_use = "call `start` to have a server"]
pub struct LocaltunnelBuilder {
    server_url: String,
    subdomain: Option<String>,
    settings: TunnelSettings,
}

impl LocaltunnelBuilder {
    /// Asks for this name below the server's; otherwise the server chooses.
    pub fn subdomain(mut self, name: impl Into<String>) -> Self {
        self.subdomain = Some(name.into());
        self
    }

    tunnel_methods!();

    /// Starts; the tunnel is opened when a hook is attached. It has to be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// A [`LocaltunnelError`] if the URL, the subdomain or the TLS configuration cannot work.
    pub fn start(mut self) -> Result<Localtunnel, LocaltunnelError> {
        let (address, uri) = Address::parse(&self.server_url)?;
        if let Some(subdomain) = self.subdomain.as_ref().filter(|name| !is_subdomain(name)) {
            let subdomain = subdomain.clone();
            return Err(LocaltunnelError::Subdomain { subdomain });
        }
        let tls = self.settings.tls()?;
        let tunnel = Arc::new(Tunnel {
            server: self.settings.common.server(),
            gate: Arc::new(Gate::new(self.settings.attach_timeout)),
            target: Target {
                address,
                uri,
                subdomain: self.subdomain,
                tls,
            },
            max_wait: self.settings.max_wait,
        });
        let monitor = &tunnel.server.monitor;
        monitor.warn("localtunnel is for tests: its server takes everybody, and reads what passes");
        tunnel.server.tasks.spawn(Arc::clone(&tunnel).run());
        Ok(Localtunnel { tunnel })
    }
}

fn is_subdomain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (4..=63).contains(&name.len()) && name.bytes().all(fits)
}
