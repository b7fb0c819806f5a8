//! A task that waits until a log has reached a length.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::SharedLog;
use super::wakers::WakerKey;

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
            let waker = self.shared.lock().length_waiters.remove(key);
            drop(waker);
        }
    }
}
