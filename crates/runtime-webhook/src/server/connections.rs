//! The open connections of a server, limited in number.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::connection::ConnectionHandle;

/// All open connections of a server, including upgraded ones.
#[derive(Debug)]
pub(crate) struct Connections {
    permits: Arc<Semaphore>,
    open: TaskTracker,
    table: Arc<Mutex<ConnectionTable>>,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    next_id: u64,
    handles: HashMap<u64, Arc<ConnectionHandle>>,
    /// Also applied to connections that are added later, such as one that was accepted during `stop`.
    shutdown: Shutdown,
}

/// The progress of shutting a server down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Shutdown {
    #[default]
    None,
    Graceful,
    Abort,
}

impl Shutdown {
    fn apply(self, connection: &ConnectionHandle) {
        match self {
            Self::None => {}
            Self::Graceful => connection.shut_down(),
            Self::Abort => connection.abort(),
        }
    }
}

impl ConnectionTable {
    fn new_handle(&mut self) -> Arc<ConnectionHandle> {
        let id = self.next_id;
        self.next_id += 1;
        Arc::new(ConnectionHandle::new(id))
    }
}

impl Connections {
    pub(crate) fn new(max_connections: usize) -> Self {
        let permits = max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            open: TaskTracker::new(),
            table: Arc::default(),
        }
    }

    /// Waits until a further connection is allowed.
    pub(crate) async fn acquire(&self) -> ConnectionPermit {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let mut table = self.table.lock();
        let handle = table.new_handle();
        // Under the lock of `apply_to_all`: a connection that is accepted during a shutdown is
        // either in the table by then, or sees the shutdown here.
        table.shutdown.apply(&handle);
        table.handles.insert(handle.id, Arc::clone(&handle));
        ConnectionPermit {
            handle,
            table: Arc::clone(&self.table),
            // Never an error, since the semaphore is not closed.
            _permit: permit.ok(),
            _open: self.open.token(),
        }
    }

    /// Returns a handle to one request of a connection that carries several.
    #[cfg(feature = "public")]
    pub(crate) fn request_handle(&self) -> Arc<ConnectionHandle> {
        self.table.lock().new_handle()
    }

    /// Waits until all connections are closed. The server must have stopped accepting.
    pub(crate) async fn all_closed(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Closes each connection after the requests in progress.
    pub(crate) fn shut_down_all(&self) {
        self.apply_to_all(Shutdown::Graceful);
    }

    /// Aborts all connections and returns their number.
    pub(crate) fn abort_all(&self) -> usize {
        self.apply_to_all(Shutdown::Abort)
    }

    fn apply_to_all(&self, shutdown: Shutdown) -> usize {
        let mut table = self.table.lock();
        table.shutdown = table.shutdown.max(shutdown);
        let handles: Vec<_> = table.handles.values().cloned().collect();
        // Wakers run arbitrary code, so they are called without the lock.
        drop(table);
        handles.iter().for_each(|handle| shutdown.apply(handle));
        handles.len()
    }
}

/// Permission for one open connection. Held until the socket is closed, also through an upgrade.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    pub(crate) handle: Arc<ConnectionHandle>,
    table: Arc<Mutex<ConnectionTable>>,
    _permit: Option<OwnedSemaphorePermit>,
    _open: TaskTrackerToken,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        // Removed before the tracker token is dropped, so that `all_closed` implies an empty table.
        self.table.lock().handles.remove(&self.handle.id);
        self.handle.leave_abort_set();
    }
}
