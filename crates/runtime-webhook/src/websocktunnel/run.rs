//! Keeps the tunnel open.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::error_chain;
use runtime_http::Backoff;
use tokio::time::{Instant, sleep};

use super::connect::{ConnectTunnelError, Link, Target, connect};
use super::token::Tokens;
use crate::gate::Gate;
use crate::server::{Origin, Server};
use crate::wsmux::{Role, Session, SessionConfig, SessionError};

/// The first wait before another attempt.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait for a server that refuses this client.
const REFUSED: Duration = Duration::from_secs(60);

/// After a session that lasts less, waits go on to grow: two clients with the same id throw each other
/// out, and should not do so several times a second.
const SHORT: Duration = Duration::from_secs(2);

/// So many short sessions in a row are no accident.
const SUSPICIOUS: u32 = 3;

/// How long the goodbye to the server may take once the last stream is over.
const GOODBYE: Duration = Duration::from_secs(2);

/// The tunnel of a client.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) server: Arc<Server>,
    pub(super) target: Target,
    pub(super) windows: SessionConfig,
    /// The longest wait for a server that is away.
    pub(super) max_wait: Duration,
    pub(super) gate: Arc<Gate>,
}

impl Tunnel {
    /// Connects whenever there are hooks, until the server stops.
    pub(super) async fn run(self: Arc<Self>, mut tokens: Tokens) {
        let mut pace = Pace::new();
        let stopping = self.server.stopping.clone();
        loop {
            let once = async {
                self.gate.wanted().await;
                self.connect(&mut tokens).await
            };
            let Some(result) = stopping.run_until_cancelled(once).await else {
                return;
            };
            let most = match result {
                Ok(link) => self.hold(link, &mut pace).await,
                Err(error) => self.failed(error),
            };
            let wait = pace.backoff.next_delay(most);
            if stopping.run_until_cancelled(sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    async fn connect(&self, tokens: &mut Tokens) -> Result<Link, ConnectTunnelError> {
        let token = tokens.get().await;
        let token = token.map_err(|source| self.target.no_token(source))?;
        let result = connect(&self.target, token).await;
        if result
            .as_ref()
            .is_err_and(ConnectTunnelError::is_about_the_token)
        {
            tokens.forget();
        }
        result
    }

    fn failed(&self, error: ConnectTunnelError) -> Duration {
        let most = match error.is_refusal() {
            true => REFUSED.max(self.max_wait),
            false => self.max_wait,
        };
        self.gate.failed(&self.server, error);
        most
    }

    /// Serves a connection until it ends, and returns how long to wait at most.
    async fn hold(&self, link: Link, pace: &mut Pace) -> Duration {
        let since = Instant::now();
        self.gate.opened(&self.server, &link.base);
        let result = self.serve(link).await;
        self.gate.closed();
        let monitor = &self.server.monitor;
        if let Err(error) = result {
            monitor.count("tunnel-disconnects", 1);
            monitor.warn(format_args!("the tunnel ended: {}", error_chain(&error)));
        }
        if pace.ended_after(since.elapsed()) {
            let id = &self.target.client_id;
            monitor.warn(format_args!(
                "the tunnel ended {SUSPICIOUS} times in a row right after it was opened: does another client use the id `{id}`? They throw each other out, so each needs an id of its own"
            ));
        }
        self.max_wait
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

/// How soon to try again.
#[derive(Debug)]
struct Pace {
    backoff: Backoff,
    /// How many sessions in a row were short.
    short: u32,
}

impl Pace {
    fn new() -> Self {
        Self {
            backoff: Backoff::new(FIRST_WAIT),
            short: 0,
        }
    }

    /// Notes how long a session lasted, and says whether there is something wrong that was not told yet.
    fn ended_after(&mut self, time: Duration) -> bool {
        if time >= SHORT {
            *self = Self::new();
            return false;
        }
        self.short = self.short.saturating_add(1);
        self.short == SUSPICIOUS
    }
}
