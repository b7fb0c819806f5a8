//! The tasks that wait for a change of a log.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

/// The key of one waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WakerKey(u64);

/// Wakers by waiter, so that a waiter replaces its waker when polled again and removes it when dropped.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    last: u64,
    waiting: BTreeMap<WakerKey, Waker>,
}

impl Wakers {
    /// Registers the task of `cx` until the next [`take`](Self::take). The caller drops the returned waker
    /// after unlocking: it may own the last reference to a reader, whose drop locks.
    #[must_use = "drop it outside the lock"]
    pub(super) fn register(
        &mut self,
        key: &mut Option<WakerKey>,
        cx: &Context<'_>,
    ) -> Option<Waker> {
        // The key stays with its waiter for life: a waiter that is woken and polled again cannot be
        // mistaken for another one that registered meanwhile.
        let key = *key.get_or_insert_with(|| {
            self.last += 1;
            WakerKey(self.last)
        });
        match self.waiting.get(&key) {
            // A task is polled again and again with the same waker: do not clone it each time.
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => self.waiting.insert(key, cx.waker().clone()),
        }
    }

    #[must_use = "drop it outside the lock"]
    pub(super) fn remove(&mut self, key: WakerKey) -> Option<Waker> {
        self.waiting.remove(&key)
    }

    /// Removes all wakers. Call [`wake`](Woken::wake) after unlocking.
    pub(super) fn take(&mut self) -> Woken {
        Woken(std::mem::take(&mut self.waiting))
    }
}

/// The wakers of tasks that wait until a log has reached a length. Unlike readers, they are not woken by each write.
#[derive(Debug)]
pub(super) struct LengthWaiters {
    wakers: Wakers,
    /// The lowest length since the last wake-up; the maximum without a waiter.
    nearest: u64,
}

impl Default for LengthWaiters {
    fn default() -> Self {
        Self {
            wakers: Wakers::default(),
            nearest: u64::MAX,
        }
    }
}

impl LengthWaiters {
    /// Removes all wakers if the log, which now has `len` bytes, has reached the nearest length. Those that wait for more
    /// register again.
    pub(super) fn take_reached(&mut self, len: u64) -> Woken {
        if len < self.nearest {
            return Woken::default();
        }
        self.take()
    }

    #[must_use = "drop it outside the lock"]
    pub(super) fn remove(&mut self, key: WakerKey) -> Option<Waker> {
        self.wakers.remove(key)
    }

    /// Removes all wakers.
    pub(super) fn take(&mut self) -> Woken {
        self.nearest = u64::MAX;
        self.wakers.take()
    }

    #[must_use = "drop it outside the lock"]
    pub(super) fn register(
        &mut self,
        key: &mut Option<WakerKey>,
        len: u64,
        cx: &Context<'_>,
    ) -> Option<Waker> {
        self.nearest = self.nearest.min(len);
        self.wakers.register(key, cx)
    }
}

/// Removed wakers, to be called after unlocking.
#[derive(Debug, Default)]
#[must_use = "removed wakers must be woken"]
pub(super) struct Woken(BTreeMap<WakerKey, Waker>);

impl Woken {
    pub(super) fn wake(self) {
        self.0.into_values().for_each(Waker::wake);
    }
}
