//! What must happen when its time has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

/// Something that happens at an instant of the queue's clock.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    ClaimExpired { task_id: Arc<str>, run_id: u32 },
    DeadlinePassed { task_id: Arc<str> },
}

/// The place of a timer: its instant, and a number that keeps equal instants apart.
pub(crate) type TimerKey = (Timestamp, u64);

/// The timers by instant.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_instant: BTreeMap<TimerKey, Timer>,
    count: u64,
}

impl Timers {
    pub(crate) fn add(&mut self, at: Timestamp, timer: Timer) -> TimerKey {
        self.count += 1;
        let key = (at, self.count);
        self.by_instant.insert(key, timer);
        key
    }

    pub(crate) fn cancel(&mut self, key: Option<TimerKey>) {
        if let Some(key) = key {
            self.by_instant.remove(&key);
        }
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_instant.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Timer> {
        self.next().filter(|at| *at <= now)?;
        self.by_instant.pop_first().map(|(_, timer)| timer)
    }
}
