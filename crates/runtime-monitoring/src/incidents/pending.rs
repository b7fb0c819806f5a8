//! A bounded queue between the threads that report incidents and the task that delivers them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::OnceLock;

use runtime_core::monitor::Counter;
use serde::Serialize;

use crate::sys::{Mutex, Notify};

/// The numbers of incidents by the state of their delivery. Each reported incident is counted in exactly one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryCounts {
    /// Accepted by the service.
    pub delivered: u64,
    /// Rejected by the service.
    pub refused: u64,
    /// Dropped because the queue was full or was stopped first.
    pub dropped: u64,
    /// Still in the queue.
    pub waiting: u64,
}

/// A bounded queue whose `push` never waits.
pub(crate) struct PendingQueue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    /// Notified after a push and after the queue was closed.
    changed: Notify,
    metrics: OnceLock<DeliveryMetrics>,
}

/// The counters shared by all queues of a worker.
pub(super) struct DeliveryMetrics {
    pub(super) sent: Counter,
    pub(super) dropped: Counter,
}

struct State<T> {
    items: VecDeque<T>,
    /// `waiting` stays 0 here: it is the length of `items`.
    counts: DeliveryCounts,
    is_closed: bool,
}

impl<T: Clone> PendingQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            state: Mutex::default(),
            changed: Notify::new(),
            metrics: OnceLock::new(),
        }
    }

    /// Sets the counters of later events. Only the first call has an effect.
    pub(super) fn set_metrics(&self, metrics: DeliveryMetrics) {
        let _ = self.metrics.set(metrics);
    }

    pub(crate) fn counts(&self) -> DeliveryCounts {
        let state = self.state.lock();
        DeliveryCounts {
            waiting: state.items.len() as u64,
            ..state.counts
        }
    }

    /// Appends an item. If the queue is full or closed, the item is dropped and counted.
    ///
    /// The new item is dropped rather than the oldest one, which may be in delivery. The first errors of a series usually
    /// show its cause.
    pub(crate) fn push(&self, item: T) {
        let mut state = self.state.lock();
        if state.is_closed || state.items.len() >= self.capacity {
            state.counts.dropped += 1;
            drop(state);
            return self.count_dropped(1);
        }
        state.items.push_back(item);
        drop(state);
        self.changed.notify_one();
    }

    /// Rejects later items. [`oldest`](Self::oldest) still returns the remaining ones.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Drops and counts the remaining items.
    pub(crate) fn drop_remaining(&self) {
        let mut state = self.state.lock();
        let remaining = state.items.drain(..).len() as u64;
        state.counts.dropped += remaining;
        drop(state);
        self.count_dropped(remaining);
    }

    /// Waits for the oldest item and returns a clone. `None` once the queue is closed and empty.
    ///
    /// The item stays in the queue until [`finish_oldest`](Self::finish_oldest), so that it still counts as waiting, and
    /// as dropped if the queue is stopped during its delivery.
    pub(crate) async fn oldest(&self) -> Option<T> {
        loop {
            {
                let state = self.state.lock();
                match state.items.front() {
                    // Cloned and not taken: it counts as waiting until it is delivered, and a
                    // cancelled delivery loses nothing.
                    Some(item) => return Some(item.clone()),
                    None if state.is_closed => return None,
                    None => {}
                }
            }
            // A notification between the check and this line is not lost: `Notify` stores one permit.
            self.changed.notified().await;
        }
    }

    /// Removes the oldest item and counts the result of its delivery.
    pub(crate) fn finish_oldest(&self, is_delivered: bool) {
        let mut state = self.state.lock();
        if state.items.pop_front().is_none() {
            // `drop_remaining` has counted it in the meantime.
            return;
        }
        if !is_delivered {
            state.counts.refused += 1;
            return;
        }
        state.counts.delivered += 1;
        drop(state);
        if let Some(metrics) = self.metrics.get() {
            metrics.sent.add(1);
        }
    }

    fn count_dropped(&self, n: u64) {
        if let Some(metrics) = self.metrics.get() {
            metrics.dropped.add(n);
        }
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            counts: DeliveryCounts::default(),
            is_closed: false,
        }
    }
}

impl<T: Clone> fmt::Debug for PendingQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingQueue")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
