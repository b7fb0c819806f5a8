//! The tasks that wait for a log to change.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

/// Names one waiter among those of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WakerKey(u64);

/// Wakers by who waits, so that one who polls again replaces its own and one who goes takes it along.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    last: u64,
    waiting: BTreeMap<WakerKey, Waker>,
}

impl Wakers {
    /// Registers the task of `cx` for the next [`take`](Self::take). What it gives is to be dropped
    /// outside the lock, since the last waker of a task may take along a reader that locks.
    #[must_use = "drop it outside the lock"]
    pub(super) fn register(
        &mut self,
        key: &mut Option<WakerKey>,
        cx: &Context<'_>,
    ) -> Option<Waker> {
        let key = *key.get_or_insert_with(|| {
            self.last += 1;
            WakerKey(self.last)
        });
        match self.waiting.get(&key) {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => self.waiting.insert(key, cx.waker().clone()),
        }
    }

    #[must_use = "drop it outside the lock"]
    pub(super) fn forget(&mut self, key: WakerKey) -> Option<Waker> {
        self.waiting.remove(&key)
    }

    /// Takes everyone out. Wake them with [`Woken::wake`] once the lock is released.
    pub(super) fn take(&mut self) -> Woken {
        Woken(std::mem::take(&mut self.waiting))
    }
}

/// Tasks to wake outside the lock.
#[derive(Debug)]
#[must_use = "who is taken out has to be woken"]
pub(super) struct Woken(BTreeMap<WakerKey, Waker>);

impl Woken {
    pub(super) fn wake(self) {
        self.0.into_values().for_each(Waker::wake);
    }
}
