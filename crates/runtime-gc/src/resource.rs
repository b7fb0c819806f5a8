//! The use count that every disposable resource embeds.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::monotonic_nanos::MonotonicNanos;
use crate::sys::{AtomicI64, Ordering};
use crate::use_count::UseCount;

/// Identifies a registered resource to its tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    pub(crate) slot: usize,
    /// Slots are reused, serial numbers are not.
    pub(crate) serial: u64,
}

/// A use count: the number of users of a resource, and its time of last use.
///
/// Each [`Disposable`](crate::Disposable) embeds such a count. A resource with users is never disposed of, and a
/// resource that is being disposed of accepts no users.
///
/// ```
/// use runtime_gc::DisposableResource;
///
/// let resource = DisposableResource::new();
/// assert!(resource.acquire());
/// assert_eq!(resource.users(), 1);
/// resource.release();
/// assert!(resource.idle_for().is_some());
/// ```
// The fields are stored inline and the rarely used link is boxed: they share a line of the processor's cache with the
// reference count of a surrounding `Arc` and the first fields of the resource.
#[repr(C)]
pub struct DisposableResource {
    uses: UseCount,
    /// A [`MonotonicNanos`].
    last_used: AtomicI64,
    link: Mutex<Option<Box<RegistryLink>>>,
}

/// The registry entry of a resource, to be notified when a watched resource becomes idle.
#[derive(Clone)]
pub(crate) struct RegistryLink {
    pub(crate) listener: Weak<dyn IdleListener>,
    pub(crate) id: ResourceId,
}

/// Receives notifications about watched resources.
pub(crate) trait IdleListener: Send + Sync {
    /// A watched resource lost its last user.
    fn on_idle(self: Arc<Self>, id: ResourceId);
}

impl DisposableResource {
    /// Creates a count without users, last used now.
    #[must_use]
    pub fn new() -> Self {
        Self::with_idle_time(Duration::ZERO)
    }

    /// Creates a count without users whose last use was `idle` ago, for a resource left by an earlier process.
    #[must_use]
    pub fn with_idle_time(idle: Duration) -> Self {
        Self {
            uses: UseCount::new(),
            last_used: AtomicI64::new(MonotonicNanos::now().earlier(idle).0),
            link: Mutex::new(None),
        }
    }

    /// Adds a user. Returns `false` if the resource was discarded or is being disposed of.
    ///
    /// Takes no lock. [`InUse`](crate::InUse) is the guard that releases on drop.
    #[must_use = "a resource that was not acquired must not be used"]
    #[inline]
    pub fn acquire(&self) -> bool {
        self.uses.acquire()
    }

    /// Adds a user if there is none. Returns `false` if there is one, or if the resource was discarded or is
    /// being disposed of.
    #[must_use = "a resource that was not acquired must not be used"]
    pub fn acquire_exclusive(&self) -> bool {
        self.uses.acquire_exclusive()
    }

    /// Removes a user. The last one makes the resource idle and sets its time of last use, which is accurate to
    /// a few milliseconds.
    ///
    /// # Panics
    ///
    /// If the resource has no users. A wrong count would either keep the resource forever or dispose of it
    /// while it is in use.
    #[inline]
    pub fn release(&self) {
        if self.uses.release(|| self.touch()) {
            self.notify_idle();
        }
    }

    /// Returns the number of users.
    #[must_use]
    pub fn users(&self) -> u64 {
        self.uses.users()
    }

    /// Returns the time since the last use, or `None` while the resource is in use.
    #[must_use]
    pub fn idle_for(&self) -> Option<Duration> {
        (self.users() == 0).then(|| MonotonicNanos::now().duration_since(self.last_used()))
    }

    /// Returns whether new users are refused, because the resource was discarded or is being disposed of.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.uses.is_retired()
    }

    /// Sets the time of last use. Called by one thread at a time, to which the previous value is visible.
    #[inline]
    fn touch(&self) {
        let now = MonotonicNanos::now_coarse();
        // The coarse clock lags behind the precise one, and the LRU order relies on times that only grow.
        if now > self.last_used() {
            // `Relaxed` suffices: `UseCount::release` runs this between an acquire of the previous
            // release and its own release.
            self.last_used.store(now.0, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn last_used(&self) -> MonotonicNanos {
        MonotonicNanos(self.last_used.load(Ordering::Relaxed))
    }

    pub(crate) fn uses(&self) -> &UseCount {
        &self.uses
    }

    /// Links the count to its registry entry. Returns `false` if it is registered already.
    pub(crate) fn attach(&self, link: RegistryLink) -> bool {
        let mut current = self.link.lock();
        // Two registry entries for one count would each dispose of the resource.
        current.is_none() && current.replace(Box::new(link)).is_none()
    }

    pub(crate) fn detach(&self) {
        drop(self.link.lock().take());
    }

    #[cold]
    fn notify_idle(&self) {
        // Cloned, so that the registry is not called under this lock.
        let link = self.link.lock().as_deref().cloned();
        if let Some(RegistryLink { listener, id }) = link
            && let Some(listener) = listener.upgrade()
        {
            listener.on_idle(id);
        }
    }
}

impl Default for DisposableResource {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DisposableResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DisposableResource")
            .field("users", &self.users())
            .field("retired", &self.is_retired())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    #[test]
    fn last_use_never_goes_back() {
        let resource = DisposableResource::new();
        // As the precise clock, which is ahead of the coarse one.
        let ahead = MonotonicNanos::now().0 + 3_600_000_000_000;
        resource.last_used.store(ahead, Ordering::Relaxed);
        assert!(resource.acquire());
        resource.release();
        assert_eq!(resource.last_used().0, ahead);
    }
}
