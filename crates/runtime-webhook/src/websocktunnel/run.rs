//! Keeps the tunnel open.

use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime_core::chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::connect::{ConnectError, Link, Target, connect};
use super::token::Tokens;
use crate::backoff::Backoff;
use crate::server::{Origin, Server};
use crate::wsmux::{Config, Role, Session, SessionError};

/// The first wait before another attempt.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait for a server that refuses this client.
const REFUSED: Duration = Duration::from_secs(60);

/// After a session that lasts less, waits go on to grow: two clients with the same id throw each other
/// out, and should not do so several times a second.
const SHORT: Duration = Duration::from_secs(2);

/// How long the goodbye to the server may take once the last stream is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// What is known about the tunnel.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// The latest URL of the client, if there was one.
    pub(super) base: Option<String>,
    pub(super) is_connected: bool,
    /// Why the latest attempt failed.
    pub(super) error: Option<Arc<ConnectError>>,
}

/// The tunnel of a client.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) server: Arc<Server>,
    pub(super) target: Target,
    pub(super) windows: Config,
    /// The longest wait for a server that is away.
    pub(super) max_wait: Duration,
    pub(super) status: watch::Sender<Status>,
    /// How many hooks are attached.
    pub(super) attached: watch::Sender<usize>,
}

/// Counts as a hook for as long as it lives.
#[derive(Debug)]
pub(super) struct Interest(Weak<Tunnel>);

impl Interest {
    pub(super) fn new(tunnel: &Arc<Tunnel>) -> Self {
        tunnel.attached.send_modify(|count| *count += 1);
        Self(Arc::downgrade(tunnel))
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some(tunnel) = self.0.upgrade() {
            tunnel.attached.send_modify(|count| *count -= 1);
        }
    }
}

impl Tunnel {
    /// Connects whenever there are hooks, until the server stops.
    pub(super) async fn run(self: Arc<Self>, mut tokens: Tokens) {
        let mut backoff = Backoff::new(FIRST_WAIT);
        let stopping = self.server.stopping.clone();
        loop {
            let once = async {
                self.wanted().await;
                self.connect(&mut tokens).await
            };
            let Some(result) = stopping.run_until_cancelled(once).await else {
                return;
            };
            let most = match result {
                Ok(link) => self.hold(link, &mut backoff).await,
                Err(error) => self.failed(error),
            };
            let wait = backoff.next(most);
            if stopping.run_until_cancelled(sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    async fn wanted(&self) {
        let mut attached = self.attached.subscribe();
        // The sender is in `self`.
        let _ = attached.wait_for(|count| *count > 0).await;
    }

    async fn connect(&self, tokens: &mut Tokens) -> Result<Link, ConnectError> {
        let token = tokens.get().await.map_err(ConnectError::Token)?;
        let result = connect(&self.target, token).await;
        if result.as_ref().is_err_and(ConnectError::is_about_the_token) {
            tokens.forget();
        }
        result
    }

    fn failed(&self, error: ConnectError) -> Duration {
        let monitor = &self.server.monitor;
        monitor.count("tunnel_connect_errors", 1);
        monitor.warn(format_args!("no tunnel for now: {}", chain(&error)));
        let most = if error.is_refusal() {
            REFUSED.max(self.max_wait)
        } else {
            self.max_wait
        };
        self.status
            .send_modify(|status| status.error = Some(Arc::new(error)));
        most
    }

    /// Serves a connection until it ends, and returns how long to wait at most.
    async fn hold(&self, link: Link, backoff: &mut Backoff) -> Duration {
        let since = Instant::now();
        self.connected(&link.base);
        let result = self.serve(link).await;
        self.status
            .send_modify(|status| status.is_connected = false);
        let monitor = &self.server.monitor;
        if let Err(error) = result {
            monitor.count("tunnel_disconnects", 1);
            monitor.warn(format_args!("the tunnel ended: {}", chain(&error)));
        }
        if since.elapsed() >= SHORT {
            backoff.reset();
        }
        self.max_wait
    }

    fn connected(&self, base: &str) {
        let monitor = &self.server.monitor;
        monitor.count("tunnel_connects", 1);
        let before = self.status.borrow().base.clone();
        if before.as_deref() != Some(base) {
            self.server.registry.rebase(base);
            monitor.info(format_args!("the tunnel is open: hooks are below {base}"));
        }
        if before.is_some_and(|before| before != base) {
            monitor.count("url_changes", 1);
        }
        self.status.send_replace(Status {
            base: Some(base.to_owned()),
            is_connected: true,
            error: None,
        });
    }

    async fn serve(&self, link: Link) -> Result<(), SessionError> {
        let (session, driver) = Session::start(link.io, Role::Client, self.windows.clone()).await;
        let accepting = async {
            loop {
                let place = self.server.connections.place().await;
                let Some(stream) = session.accept().await else {
                    break;
                };
                self.server.spawn(stream, place, Origin::Websocktunnel);
            }
            // The driver ends once the streams have.
            std::future::pending::<()>().await;
        };
        let closing = async {
            self.server.stopping.cancelled().await;
            session.close();
            self.server.connections.all_closed().await;
            sleep(GOODBYE).await;
        };
        tokio::select! {
            result = driver => result,
            () = accepting => Ok(()),
            () = closing => Ok(()),
        }
    }
}
