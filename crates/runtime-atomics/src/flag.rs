//! An awaitable boolean.

use std::fmt;
use std::sync::Arc;

use crate::sys::{AtomicBool, Notify, Ordering};

/// A shared boolean that can be awaited. Clones share the value.
///
/// For a value that changes from `false` to `true` at most once, with code to run at the change, use
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
    /// Creates a flag with an initial value.
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

    /// Returns the value. Writes that happened before `set` are visible to a reader of the new value.
    #[must_use]
    pub fn get(&self) -> bool {
        self.inner.value.load(Ordering::Acquire)
    }

    /// Sets the value and wakes its waiters.
    pub fn set(&self, value: bool) {
        self.swap(value);
    }

    /// Sets the value, wakes its waiters, and returns the previous value. If several threads change the value
    /// at once, exactly one of them observes the change.
    pub fn swap(&self, value: bool) -> bool {
        // One swap and not a load and a store: of several threads that change the value, exactly
        // one must see the old one. Release publishes the writes before this call to readers of the
        // new value; acquire makes those of the previous writer visible to this thread.
        let before = self.inner.value.swap(value, Ordering::AcqRel);
        // Without a change, every waiter for `value` has already returned or is about to.
        if before != value {
            // After the swap, since a woken waiter reads the value.
            self.inner.changed.notify_waiters();
        }
        before
    }

    /// Waits until the flag has `value`; returns immediately if it does.
    ///
    /// The value may have changed back when this returns, and a waiter may miss a value that lasts only
    /// briefly: it checks the flag when it is scheduled, not at the change.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future only stops waiting.
    pub async fn wait_for(&self, value: bool) {
        loop {
            // Created before the read: a `Notified` receives every `notify_waiters` after its creation, even
            // before its first poll. Created after the read, it would miss a change in between.
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
