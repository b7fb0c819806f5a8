//! Timers for claims and deadlines.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

/// An event that is due at a time of the services' clock.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    ClaimExpired { task_id: Arc<str>, run_id: u32 },
    DeadlinePassed { task_id: Arc<str> },
}

/// The due time of a timer, and a number that makes it unique.
pub(crate) type TimerKey = (Timestamp, u64);

/// The timers, ordered by due time.
///
/// Tasks hold the keys of their timers, so that a reclaim or an early end removes the timer. A heap
/// with stale entries would keep every timer of every claim until it is due.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_due_time: BTreeMap<TimerKey, Timer>,
    count: u64,
}

impl Timers {
    pub(crate) fn add(&mut self, due: Timestamp, timer: Timer) -> TimerKey {
        // Two timers may have the same time. The count makes their keys unique, and keeps their
        // order.
        self.count += 1;
        let key = (due, self.count);
        self.by_due_time.insert(key, timer);
        key
    }

    pub(crate) fn cancel(&mut self, key: Option<TimerKey>) {
        if let Some(key) = key {
            self.by_due_time.remove(&key);
        }
    }

    /// Returns the due time of the next timer.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_due_time.keys().next().map(|(due, _)| *due)
    }

    /// Removes and returns the next timer that is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        self.next().filter(|due| *due <= now)?;
        self.by_due_time.pop_first().map(|(_, timer)| timer)
    }
}
