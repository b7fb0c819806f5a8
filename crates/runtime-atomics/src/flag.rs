//! An awaitable boolean.

use std::fmt;
use std::sync::Arc;

use crate::sys::{AtomicBool, Notify, Ordering};

/// A shared boolean that can be awaited. Clones share the value.
///
/// If the value only ever changes from `false` to `true` and the change runs code, use
/// [`Once`](crate::Once).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let paused = runtime_atomics::Flag::new(true);
/// let claiming = tokio::spawn({
///     let paused = paused.clone();
///     async move { paused.wait_for(false).await }
/// });
///
/// assert!(paused.swap(false));
/// claiming.await.unwrap();
/// # }
/// ```
#[derive(Clone)]
pub struct Flag {
    inner: Arc<Inner>,
}

struct Inner {
    value: AtomicBool,
    changed: Arc<Notify>,
}

impl Flag {
    /// Creates a flag.
    #[must_use]
    pub fn new(value: bool) -> Self {
        let inner = Inner {
            value: AtomicBool::new(value),
            changed: Arc::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns the value. Writes before the flag was set are visible to a reader that sees the new value.
    #[must_use]
    pub fn get(&self) -> bool {
        self.inner.value.load(Ordering::Acquire)
    }

    /// Sets the value and wakes its waiters.
    pub fn set(&self, value: bool) {
        self.swap(value);
    }

    /// Sets the value, wakes its waiters, and returns the previous value. Of concurrent swaps to the same
    /// value, exactly one returns the opposite value.
    pub fn swap(&self, value: bool) -> bool {
        let before = self.inner.value.swap(value, Ordering::AcqRel);
        if before != value {
            self.inner.changed.notify_waiters();
        }
        before
    }

    /// Waits until the flag has `value`; returns at once if it does.
    ///
    /// A value that is replaced before the waiter runs may be missed: returning means that the flag had the
    /// value during the call, not that it still has it.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future only stops waiting.
    pub async fn wait_for(&self, value: bool) {
        loop {
            // Created before the read: a `Notified` is woken by every `notify_waiters` after its creation.
            let changed = Arc::clone(&self.inner.changed).notified_owned();
            if self.get() == value {
                return;
            }
            changed.await;
        }
    }
}

impl Default for Flag {
    /// Returns a flag that is `false`.
    fn default() -> Self {
        Self::new(false)
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flag").field(&self.get()).finish()
    }
}
