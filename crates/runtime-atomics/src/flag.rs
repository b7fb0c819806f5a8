//! A boolean that can be waited for.

use std::fmt;
use std::sync::Arc;

use crate::sys::{AtomicBool, Notify, Ordering};

/// A boolean that many share, set and wait for. Clones are the same flag.
///
/// Where the value only ever goes from `false` to `true`, and work belongs to the change, a
/// [`Once`](crate::Once) says so better.
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
    /// Makes a flag with a first value.
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

    /// The value now. What the setter did before it set the flag is visible to who sees the value.
    #[must_use]
    pub fn get(&self) -> bool {
        self.inner.value.load(Ordering::Acquire)
    }

    /// Sets the value, and wakes who waits for it.
    pub fn set(&self, value: bool) {
        self.swap(value);
    }

    /// Sets the value, wakes who waits for it, and gives the value before. Of many that swap in the
    /// same value at once exactly one is told that it made the change.
    pub fn swap(&self, value: bool) -> bool {
        let before = self.inner.value.swap(value, Ordering::AcqRel);
        if before != value {
            self.inner.changed.notify_waiters();
        }
        before
    }

    /// Waits until the flag has the value; returns at once if it has.
    ///
    /// A value that is gone before the waiter ran may be missed: this tells that the flag had the
    /// value during the call, not that it still has it, and not how often it changed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: dropping the future only stops waiting.
    pub async fn wait_for(&self, value: bool) {
        loop {
            // A future that exists before the value is read hears of every change after.
            let changed = Arc::clone(&self.inner.changed).notified_owned();
            if self.get() == value {
                return;
            }
            changed.await;
        }
    }
}

impl Default for Flag {
    /// A flag that is `false`.
    fn default() -> Self {
        Self::new(false)
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flag").field(&self.get()).finish()
    }
}
