//! The connections that are open, and places for more.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::cut::Cut;

/// All connections of a server, those that were upgraded included.
#[derive(Debug)]
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    open: TaskTracker,
    cuts: Arc<Mutex<Cuts>>,
}

#[derive(Debug, Default)]
struct Cuts {
    next: u64,
    all: HashMap<u64, Arc<Cut>>,
    /// What was done to all of them is done to a new one, too.
    end: End,
}

/// How far the server has come with its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    #[default]
    Open,
    Finishing,
    Cut,
}

impl End {
    fn apply(self, connection: &Cut) {
        match self {
            Self::Open => {}
            Self::Finishing => connection.finish(),
            Self::Cut => connection.cut(),
        }
    }
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS))),
            open: TaskTracker::new(),
            cuts: Arc::default(),
        }
    }

    /// Waits until there is room for one more connection.
    pub(crate) async fn place(&self) -> Place {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let mut cuts = self.cuts.lock();
        let connection = Arc::new(Cut::new(cuts.next));
        cuts.next += 1;
        cuts.end.apply(&connection);
        cuts.all
            .insert(connection.number(), Arc::clone(&connection));
        Place {
            connection,
            cuts: Arc::clone(&self.cuts),
            _permit: permit.ok(),
            _open: self.open.token(),
        }
    }

    /// A switch for one request on a connection that carries several.
    #[cfg(feature = "public")]
    pub(crate) fn request(&self) -> Arc<Cut> {
        let mut cuts = self.cuts.lock();
        let request = Arc::new(Cut::new(cuts.next));
        cuts.next += 1;
        request
    }

    /// Waits until the last is closed; the server must have stopped to accept.
    pub(crate) async fn all_closed(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Ends each connection once it has answered what it was asked.
    pub(crate) fn finish_all(&self) {
        self.end_all(End::Finishing);
    }

    /// Ends all connections, and returns how many there were.
    pub(crate) fn cut_all(&self) -> usize {
        self.end_all(End::Cut)
    }

    fn end_all(&self, end: End) -> usize {
        let mut cuts = self.cuts.lock();
        cuts.end = cuts.end.max(end);
        let all: Vec<_> = cuts.all.values().cloned().collect();
        drop(cuts);
        all.iter().for_each(|connection| end.apply(connection));
        all.len()
    }
}

/// A place of a connection among those that are open.
#[derive(Debug)]
pub(crate) struct Place {
    connection: Arc<Cut>,
    cuts: Arc<Mutex<Cuts>>,
    _permit: Option<OwnedSemaphorePermit>,
    _open: TaskTrackerToken,
}

impl Place {
    pub(crate) fn connection(&self) -> &Arc<Cut> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cuts.lock().all.remove(&self.connection.number());
        self.connection.serves_nothing();
    }
}
