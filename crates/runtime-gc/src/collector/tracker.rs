//! The collector's interface for engines, plugins and caches.

use std::fmt;
use std::sync::{Arc, Weak};

use super::core::Collector;
use crate::config::GcConfig;
use crate::disposable::Disposable;
use crate::reservation::{Reservation, ReserveError};
use crate::resource::{RegistryLink, ResourceId};
use crate::shared::SharedRegistry;

/// Registers resources with a collector. Cheap to clone.
///
/// Of its methods, only [`reserve`](Self::reserve) waits for a collection.
#[derive(Clone)]
pub struct ResourceTracker {
    shared: Arc<SharedRegistry>,
    /// Weak, because registered resources may hold trackers.
    collector: Weak<Collector>,
}

impl ResourceTracker {
    pub(super) fn new(collector: &Arc<Collector>) -> Self {
        Self {
            shared: Arc::clone(&collector.shared),
            collector: Arc::downgrade(collector),
        }
    }

    /// Creates a tracker without a collector, for tests and for workers that do not collect.
    ///
    /// Nothing is evicted. A discarded resource is disposed of on a separate task once it is idle, if that happens in
    /// a tokio runtime; a failure is logged and not retried.
    #[must_use]
    pub fn detached() -> Self {
        Self {
            shared: Arc::new(SharedRegistry::new(GcConfig::default(), true)),
            collector: Weak::new(),
        }
    }

    /// Registers a resource. The collector may dispose of it whenever it is idle.
    ///
    /// Acquire the resource before registering it, so that it is not disposed of at once.
    ///
    /// # Panics
    ///
    /// If the same [`DisposableResource`](crate::DisposableResource) is already registered.
    pub fn register(&self, disposable: Arc<dyn Disposable>) -> ResourceId {
        let (class, footprint) = (disposable.class(), disposable.footprint());
        let mut registry = self.shared.registry();
        let id = registry.insert(Arc::clone(&disposable), class, footprint);
        // Under the lock, so that no collection can watch the resource before it has a listener.
        let listener = Arc::downgrade(&self.shared);
        let link = RegistryLink { listener, id };
        let attached = disposable.resource().attach(link);
        // Removed before the panic, and dropped after the lock, because its destructor is foreign code.
        let rejected = if attached { None } else { registry.remove(id) };
        let exceeded = self.shared.exceeds_maximum(&registry.totals, class);
        drop(registry);
        assert!(rejected.is_none(), "a resource was registered twice");
        // Checked at each registration, because a maximum can be exceeded long before the next interval.
        if exceeded {
            self.request_collection();
        }
        id
    }

    /// Unregisters a resource. Its owner is responsible for freeing it.
    ///
    /// Returns `false` if the collector already disposed of it, or is about to.
    pub fn unregister(&self, id: ResourceId) -> bool {
        let removed = self.shared.registry().remove(id);
        // The entry may hold the last reference. Its destructor is foreign code and must run without the lock.
        removed.is_some_and(|entry| {
            entry.resource().detach();
            true
        })
    }

    /// Refuses new users of a resource, and disposes of it as soon as it is idle, regardless of limits.
    ///
    /// The background task or the next collection disposes of it. Returns `false` if it is not registered.
    pub fn discard(&self, id: ResourceId) -> bool {
        // After the end of its collector it would stay registered forever.
        if self.collector.strong_count() == 0 && !self.shared.is_detached {
            return self.unregister(id);
        }
        let found = self.shared.registry().discard(id);
        self.shared.request_disposal();
        found
    }

    /// Reads the footprint of a resource again, after it has grown or shrunk.
    pub fn refresh(&self, id: ResourceId) {
        let Some(disposable) = self.shared.registry().disposable(id) else {
            return;
        };
        // Foreign code, called without the lock.
        let (class, footprint) = (disposable.class(), disposable.footprint());
        let mut registry = self.shared.registry();
        registry.set_footprint(id, footprint);
        let exceeded = self.shared.exceeds_maximum(&registry.totals, class);
        drop(registry);
        if exceeded {
            self.request_collection();
        }
    }

    /// Reserves disk space before a write, and evicts idle resources for it if needed.
    ///
    /// See [`GarbageCollector::reserve`](crate::GarbageCollector::reserve). Always succeeds without a collector.
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the space cannot be freed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is reserved if the future is dropped. Resources evicted by then stay evicted.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        match self.collector.upgrade() {
            Some(collector) => collector.reserve(bytes).await,
            None => Ok(Reservation::new(&self.shared.reserved, bytes)),
        }
    }

    /// Wakes the background task to collect now, for example after a write failed because the disk is full.
    pub fn request_collection(&self) {
        self.shared.wake.notify_one();
    }

    /// Returns the number of registered resources, including those being disposed of.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.registry().len()
    }
}

impl fmt::Debug for ResourceTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceTracker")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
