//! The state of the server: its settings and the connected clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use runtime_webhook::wsmux::Session;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::token::TokenKey;

/// A connected client.
#[derive(Clone, Debug)]
pub(super) struct TunnelClient {
    pub(super) session: Session,
    /// Closes the connection when cancelled.
    pub(super) disconnect: CancellationToken,
    /// Distinguishes the connection from others with the same client id.
    pub(super) connection_id: u64,
}

#[derive(Debug)]
pub(super) struct TunnelServerState {
    pub(super) url: String,
    pub(super) port: u16,
    pub(super) key: TokenKey,
    clients: Mutex<HashMap<String, TunnelClient>>,
    connection_count: AtomicU64,
    pub(super) tasks: TaskTracker,
    /// Cancelled when the server is killed.
    pub(super) killed: CancellationToken,
}

impl TunnelServerState {
    pub(super) fn new(port: u16, key: TokenKey) -> Self {
        Self {
            url: format!("http://127.0.0.1:{port}"),
            port,
            key,
            clients: Mutex::default(),
            connection_count: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            killed: CancellationToken::new(),
        }
    }

    /// Spawns a task that ends when the server is killed.
    pub(super) fn spawn(&self, future: impl Future<Output: Send> + Send + 'static) {
        let killed = self.killed.clone();
        self.tasks
            .spawn(async move { killed.run_until_cancelled(future).await });
    }

    pub(super) fn client_url(&self, id: &str) -> String {
        format!("{}/{id}", self.url)
    }

    pub(super) fn client(&self, id: &str) -> Option<TunnelClient> {
        self.clients.lock().get(id).cloned()
    }

    pub(super) fn client_ids(&self) -> Vec<String> {
        self.clients.lock().keys().cloned().collect()
    }

    /// Adds a client. It replaces and disconnects an earlier one with the same id, as in the real
    /// server: a client that lost its connection registers again before the server notices.
    pub(super) fn add_client(&self, id: &str, session: Session) -> TunnelClient {
        let client = TunnelClient {
            session,
            disconnect: self.killed.child_token(),
            connection_id: self.connection_count.fetch_add(1, Ordering::Relaxed),
        };
        let replaced = self.clients.lock().insert(id.to_owned(), client.clone());
        if let Some(replaced) = replaced {
            replaced.disconnect.cancel();
        }
        client
    }

    /// Removes and disconnects a client. Returns whether it was connected.
    pub(super) fn disconnect(&self, id: &str) -> bool {
        let client = self.clients.lock().remove(id);
        client
            .inspect(|client| client.disconnect.cancel())
            .is_some()
    }

    /// Removes a client after its connection ended, unless another connection has replaced it.
    pub(super) fn remove_connection(&self, id: &str, connection_id: u64) {
        let mut clients = self.clients.lock();
        if clients
            .get(id)
            .is_some_and(|client| client.connection_id == connection_id)
        {
            clients.remove(id);
        }
    }
}
