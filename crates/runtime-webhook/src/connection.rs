//! Handles that abort connections, and the sets of connections that a hook aborts.

use std::collections::HashMap;
#[cfg(feature = "public")]
use std::future::poll_fn;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use crate::sys::{AtomicBool, AtomicWaker, Mutex, Ordering};

/// A handle to one connection, or to one request of an HTTP/2 connection.
///
/// The abort flag is checked by reads, by writes and by the task that drives the connection. All three are
/// needed: after an upgrade only reads and writes remain, and before it they may not be pending.
#[derive(Debug)]
pub(crate) struct ConnectionHandle {
    /// Unique within the server.
    pub(crate) id: u64,
    is_aborted: AtomicBool,
    is_shutting_down: AtomicBool,
    has_unread_body: AtomicBool,
    /// Counts the frames of request bodies that handlers have read.
    body_frames: AtomicU64,
    wakers: [AtomicWaker; 3],
    /// The set of the hook that received the latest request, if that hook aborts connections.
    abort_set: Mutex<Option<Arc<AbortSet>>>,
}

/// The tasks that can wait for an abort at the same time.
///
/// An upgraded connection can be split, so reader and writer may be different tasks. A single waker would
/// lose one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WakeSlot {
    Reader,
    Writer,
    Driver,
}

/// A task that waits for the abort of a connection.
///
/// Registering a waker takes two atomic exchanges, and a connection is polled several times per request, nearly always
/// by the same task.
#[derive(Debug)]
pub(crate) struct AbortListener {
    slot: WakeSlot,
    registered: Option<Waker>,
}

impl AbortListener {
    /// Creates the only listener of a slot.
    pub(crate) fn new(slot: WakeSlot) -> Self {
        Self {
            slot,
            registered: None,
        }
    }

    pub(crate) fn poll(&mut self, connection: &ConnectionHandle, cx: &Context<'_>) -> Poll<()> {
        // A registered waker stays in its slot until an abort or a shutdown. The latter wakes the task only after it has
        // set the flag, so the poll that follows sees it and registers the waker again.
        let is_registered = !connection.is_shutting_down()
            && (self.registered.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker()));
        if !is_registered {
            self.registered = Some(cx.waker().clone());
            return connection.poll_aborted(self.slot, cx);
        }
        if connection.is_aborted() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl ConnectionHandle {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            is_aborted: AtomicBool::new(false),
            is_shutting_down: AtomicBool::new(false),
            has_unread_body: AtomicBool::new(false),
            body_frames: AtomicU64::new(0),
            wakers: Default::default(),
            abort_set: Mutex::new(None),
        }
    }

    /// Closes the connection at once, even in the middle of a response.
    pub(crate) fn abort(&self) {
        // The flag is set before the wake-ups: a task that is woken must see it.
        self.is_aborted.store(true, Ordering::Release);
        for waker in &self.wakers {
            waker.wake();
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Acquire)
    }

    /// Asks the driver to close the connection after the requests in progress.
    pub(crate) fn shut_down(&self) {
        // As in `abort`, the flag precedes the wake-up.
        self.is_shutting_down.store(true, Ordering::Release);
        self.wakers[WakeSlot::Driver as usize].wake();
    }

    /// Returns whether [`shut_down`](Self::shut_down) was called.
    pub(crate) fn is_shutting_down(&self) -> bool {
        // Registers no waker: the driver polls its `AbortListener` first, and both flags share its waker.
        self.is_shutting_down.load(Ordering::Acquire)
    }

    /// Records whether the client may still be sending the body of the latest request.
    pub(crate) fn set_unread_body(&self, has_unread_body: bool) {
        // Relaxed: the flag only decides whether a lingering close is worthwhile, and guards no other data.
        self.has_unread_body
            .store(has_unread_body, Ordering::Relaxed);
    }

    pub(crate) fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed)
    }

    pub(crate) fn count_body_frame(&self) {
        // Relaxed: only the change of the count matters, for which a delay is irrelevant.
        self.body_frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of frames of request bodies that handlers have read.
    pub(crate) fn body_frames(&self) -> u64 {
        self.body_frames.load(Ordering::Relaxed)
    }

    pub(crate) fn poll_aborted(&self, slot: WakeSlot, cx: &Context<'_>) -> Poll<()> {
        self.wakers[slot as usize].register(cx.waker());
        // Checked after the registration: an abort in between either wakes the task or is seen here.
        if self.is_aborted() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Waits until the connection is aborted.
    #[cfg(feature = "public")]
    pub(crate) async fn aborted(&self) {
        poll_fn(|cx| self.poll_aborted(WakeSlot::Driver, cx)).await;
    }

    /// Leaves the current abort set, if there is one.
    pub(crate) fn leave_abort_set(&self) {
        // Two statements, so that the lock is released before `remove` locks the set. Only one of the two
        // locks is ever held, which rules out a deadlock with `AbortSet::insert`.
        let previous = self.abort_set.lock().take();
        if let Some(previous) = previous {
            previous.remove(self);
        }
    }

    fn join(&self, set: &Arc<AbortSet>) {
        // A keep-alive connection can carry requests to several hooks in turn. It leaves the previous set, or the
        // detach of that hook would abort a request to this one.
        let previous = self.abort_set.lock().replace(Arc::clone(set));
        if let Some(previous) = previous.filter(|previous| !Arc::ptr_eq(previous, set)) {
            previous.remove(self);
        }
    }
}

/// The connections that are aborted when a hook is detached.
///
/// A keep-alive connection belongs to the set of the hook that received its latest request, so a hook does
/// not abort a request to another hook.
#[derive(Debug, Default)]
pub(crate) struct AbortSet(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    is_aborted: bool,
    connections: HashMap<u64, Weak<ConnectionHandle>>,
}

impl AbortSet {
    /// Moves a connection to this set. Returns `false` if the set is aborted already.
    pub(crate) fn insert(self: &Arc<Self>, connection: &Arc<ConnectionHandle>) -> bool {
        // Check and insertion under one lock: between two, an abort could miss the connection.
        let mut members = self.0.lock();
        if members.is_aborted {
            return false;
        }
        // Weak: handle and set refer to each other, and the connection owns its set.
        let handle = Arc::downgrade(connection);
        members.connections.insert(connection.id, handle);
        drop(members);
        connection.join(self);
        true
    }

    fn remove(&self, connection: &ConnectionHandle) {
        self.0.lock().connections.remove(&connection.id);
    }

    /// Aborts all connections of the set and rejects new ones.
    pub(crate) fn abort(&self) {
        let mut members = self.0.lock();
        members.is_aborted = true;
        let connections = std::mem::take(&mut members.connections);
        // Wakers run arbitrary code, so they are called without the lock.
        drop(members);
        for connection in connections.values().filter_map(Weak::upgrade) {
            connection.abort();
        }
    }

    /// Returns the number of connections in the set.
    #[cfg(all(test, runtime_loom))]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().connections.len()
    }
}
