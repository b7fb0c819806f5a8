//! The tasks that wait until a log has reached a length.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::shared::SharedLog;
use super::wakers::{WakerKey, Wakers, Woken};

/// Wakers with the minimum of their lengths. Unlike a reader, such a task is not woken by each write.
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

    /// Removes all wakers.
    pub(super) fn take(&mut self) -> Woken {
        self.nearest = u64::MAX;
        self.wakers.take()
    }

    #[must_use = "drop it outside the lock"]
    fn register(
        &mut self,
        key: &mut Option<WakerKey>,
        len: u64,
        cx: &Context<'_>,
    ) -> Option<Waker> {
        self.nearest = self.nearest.min(len);
        self.wakers.register(key, cx)
    }
}

/// A task that waits for a length.
pub(super) struct LengthWaiter {
    shared: Arc<SharedLog>,
    key: Option<WakerKey>,
}

impl LengthWaiter {
    pub(super) fn new(shared: Arc<SharedLog>) -> Self {
        Self { shared, key: None }
    }

    /// Returns `true` once the log has `len` bytes, or `false` if it ended before.
    pub(super) fn poll(&mut self, len: u64, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.shared.lock();
        if state.tail.end() >= len {
            return Poll::Ready(true);
        }
        if state.end.is_some() {
            return Poll::Ready(false);
        }
        // Under the lock of the check, so that no append in between is missed.
        let replaced = state.length_waiters.register(&mut self.key, len, cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for LengthWaiter {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.shared.lock().length_waiters.wakers.remove(key);
            drop(waker);
        }
    }
}
