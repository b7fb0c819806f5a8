//! Keeps the tunnel open.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::error_chain;
use runtime_http::Backoff;
use tokio::time::{Instant, sleep};

use super::handshake::{ConnectTunnelError, Endpoint, TunnelConnection};
use super::token::TokenCache;
use crate::server::{ConnectionKind, spawn_connection};
use crate::tunnel_state::TunnelState;
use crate::wsmux::{Role, Session, SessionConfig, SessionError};

/// The upper bound of the first delay before a reconnect.
const INITIAL_RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// The minimum of the longest delay while the server rejects this client.
const REJECTED_RECONNECT_DELAY: Duration = Duration::from_secs(60);

/// The backoff continues after a session that lasted less, and starts over otherwise.
///
/// The server disconnects a client when another one registers with the same id. Two clients with one id
/// disconnect each other in turn, and must not do so several times a second.
const MIN_STABLE_SESSION: Duration = Duration::from_secs(2);

/// The number of consecutive short sessions that indicates a second client with the same id.
const ID_CONFLICT_SESSIONS: u32 = 3;

/// The time limit of the close handshake after the last stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The background work of a tunnel.
pub(super) struct ReconnectingTunnel {
    pub(super) state: Arc<TunnelState>,
    pub(super) endpoint: Endpoint,
    pub(super) session: SessionConfig,
    pub(super) tokens: TokenCache,
    /// The longest delay while the server is unreachable.
    pub(super) max_reconnect_delay: Duration,
}

impl ReconnectingTunnel {
    /// Keeps the tunnel open while hooks are attached, until the server stops.
    pub(super) async fn run(mut self) {
        let mut sessions = SessionHistory::new();
        let stopping = self.state.server.stopping.clone();
        loop {
            let connect = async {
                self.state.wait_for_hook().await;
                self.connect().await
            };
            let Some(result) = stopping.run_until_cancelled(connect).await else {
                return;
            };
            let max_delay = match result {
                // Not cancelled by `stopping`: the session ends by itself after requests in progress.
                Ok(connection) => self.serve(connection, &mut sessions).await,
                Err(error) => self.handle_error(error),
            };
            // Also after a long session: a server that restarts loses all of its clients at once,
            // and the jitter spreads their return.
            let delay = sessions.backoff.next_delay(max_delay);
            if stopping.run_until_cancelled(sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    async fn connect(&mut self) -> Result<TunnelConnection, ConnectTunnelError> {
        let token = self.tokens.get().await;
        let token = token.map_err(|source| self.endpoint.token_error(source))?;
        let result = self.endpoint.connect(token).await;
        if result
            .as_ref()
            .is_err_and(ConnectTunnelError::is_token_rejection)
        {
            // For example after a change of the server's secret. Other errors say nothing about the token, and a new one
            // for each attempt would load the auth service.
            self.tokens.invalidate();
        }
        result
    }

    /// Records an error and returns the maximum delay before the next attempt.
    fn handle_error(&self, error: ConnectTunnelError) -> Duration {
        // A rejection persists until an administrator changes something. An unreachable server usually returns within
        // seconds, and viewers are waiting.
        let max_delay = if error.is_rejection() {
            REJECTED_RECONNECT_DELAY.max(self.max_reconnect_delay)
        } else {
            self.max_reconnect_delay
        };
        self.state.set_error(error);
        max_delay
    }

    /// Serves a connection until it ends, and returns the maximum delay before the next attempt.
    async fn serve(&self, connection: TunnelConnection, sessions: &mut SessionHistory) -> Duration {
        let start = Instant::now();
        self.state.set_open(&connection.base_url);
        let result = self.serve_session(connection).await;
        self.state.set_closed();
        let monitor = &self.state.server.monitor;
        if let Err(error) = result {
            monitor.count("tunnel-disconnects", 1);
            monitor.warn(format_args!("tunnel closed: {}", error_chain(&error)));
        }
        // A conflict looks like an ordinary disconnect, so repetition is the only indication.
        if sessions.record(start.elapsed()) {
            let id = &self.endpoint.client_id;
            monitor.warn(format_args!(
                "tunnel closed {ID_CONFLICT_SESSIONS} times in a row right after it was opened: check whether another client uses the id `{id}`, since the server allows one connection per id"
            ));
        }
        self.max_reconnect_delay
    }

    async fn serve_session(&self, connection: TunnelConnection) -> Result<(), SessionError> {
        let server = &self.state.server;
        let config = self.session.clone();
        let (session, driver) = Session::start(connection.io, Role::Client, config).await;
        let accept = async {
            loop {
                // The permit first: streams above the limit wait in the session, where they are refused beyond its
                // backlog, instead of occupying memory here.
                let permit = server.connections.acquire().await;
                let Some(stream) = session.accept().await else {
                    break;
                };
                spawn_connection(server, stream, permit, ConnectionKind::Websocktunnel);
            }
            // The driver has to send the remaining data, and ends by itself after the last stream.
            std::future::pending::<()>().await;
        };
        let close = async {
            server.stopping.cancelled().await;
            // Streams in progress continue; the driver sends the close frame after the last one. The timeout below only
            // guards against a server that does not answer it.
            session.close();
            server.connections.all_closed().await;
            sleep(CLOSE_TIMEOUT).await;
        };
        tokio::select! {
            result = driver => result,
            () = accept => Ok(()),
            () = close => Ok(()),
        }
    }
}

/// The durations of recent sessions, and the backoff that results from them.
#[derive(Debug)]
struct SessionHistory {
    backoff: Backoff,
    /// The number of consecutive short sessions.
    short_sessions: u32,
}

impl SessionHistory {
    fn new() -> Self {
        Self {
            backoff: Backoff::new(INITIAL_RECONNECT_DELAY),
            short_sessions: 0,
        }
    }

    /// Records the duration of a session. Returns `true` once for a series of short sessions.
    fn record(&mut self, duration: Duration) -> bool {
        if duration >= MIN_STABLE_SESSION {
            *self = Self::new();
            return false;
        }
        self.short_sessions = self.short_sessions.saturating_add(1);
        self.short_sessions == ID_CONFLICT_SESSIONS
    }
}
