//! Incidents that wait to be delivered.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};

use runtime_core::monitor::Counter;
use serde::Serialize;

use super::{Incident, Reporter};
use crate::sys::{Mutex, Notify};

/// What became of the incidents so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forwarded {
    /// The service has them.
    pub delivered: u64,
    /// The service did not want them.
    pub refused: u64,
    /// The queue was full when they came, or the time to stop ran out.
    pub dropped: u64,
    /// They are in the queue.
    pub waiting: u64,
}

/// A queue with a bound, of which nobody who pushes waits.
pub(crate) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    /// Something was pushed, or the queue was closed.
    changed: Notify,
    counters: OnceLock<Counters>,
}

/// The counters of all queues together, if somebody wants them.
pub(super) struct Counters {
    pub(super) sent: Counter,
    pub(super) dropped: Counter,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Counts, in which `waiting` is left at zero.
    counts: Forwarded,
    is_closed: bool,
}

impl<T: Clone> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            state: Mutex::default(),
            changed: Notify::new(),
            counters: OnceLock::new(),
        }
    }

    /// Counts there what becomes of items from now on; the first counters stay.
    pub(super) fn count_in(&self, counters: Counters) {
        let _ = self.counters.set(counters);
    }

    pub(crate) fn counts(&self) -> Forwarded {
        let state = self.state.lock();
        Forwarded {
            waiting: state.waiting.len() as u64,
            ..state.counts
        }
    }

    /// Adds an item, or drops and counts it if the queue is full or closed.
    pub(crate) fn push(&self, item: T) {
        let mut state = self.state.lock();
        if state.is_closed || state.waiting.len() >= self.capacity {
            state.counts.dropped += 1;
            drop(state);
            return self.count(|counters| counters.dropped.add(1));
        }
        state.waiting.push_back(item);
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Drops and counts what still waits.
    pub(crate) fn drop_rest(&self) {
        let mut state = self.state.lock();
        let rest = state.waiting.drain(..).len() as u64;
        state.counts.dropped += rest;
        drop(state);
        self.count(|counters| counters.dropped.add(rest));
    }

    /// The oldest item, which stays in the queue; `None` once the queue is closed and empty.
    pub(crate) async fn oldest(&self) -> Option<T> {
        loop {
            {
                let state = self.state.lock();
                match state.waiting.front() {
                    Some(item) => return Some(item.clone()),
                    None if state.is_closed => return None,
                    None => {}
                }
            }
            self.changed.notified().await;
        }
    }

    /// Removes the oldest item, which the service has or does not want. One that was dropped meanwhile is counted already.
    pub(crate) fn done(&self, is_delivered: bool) {
        let mut state = self.state.lock();
        if state.waiting.pop_front().is_none() {
            return;
        }
        match is_delivered {
            true => state.counts.delivered += 1,
            false => state.counts.refused += 1,
        }
        drop(state);
        if is_delivered {
            self.count(|counters| counters.sent.add(1));
        }
    }

    fn count(&self, count: impl FnOnce(&Counters)) {
        if let Some(counters) = self.counters.get() {
            count(counters);
        }
    }
}

impl Reporter for Queue<Arc<Incident>> {
    fn report(&self, incident: &Arc<Incident>) {
        self.push(Arc::clone(incident));
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            counts: Forwarded::default(),
            is_closed: false,
        }
    }
}

impl<T: Clone> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
