//! What engines, plugins and caches see of the collector.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::collector::Inner;
use crate::registry::{Link, Newcomer};
use crate::shared::Shared;
use crate::{
    Disposable, GarbageCollector, GcConfig, Reservation, ReserveError, ResourceId, Stats,
    SystemStats,
};

/// Where resources are registered, so that they can be disposed of. A clone is cheap.
///
/// None of its methods waits for a collection.
#[derive(Clone)]
pub struct ResourceTracker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) collector: Weak<Inner>,
}

impl ResourceTracker {
    /// A tracker whose resources nobody collects, for tests and for workers that have no collector.
    ///
    /// What is discarded is never disposed of, only forgotten.
    #[must_use]
    pub fn detached() -> Self {
        GarbageCollector::new(GcConfig::default(), Nothing).tracker()
    }

    /// Registers a resource. The collector may dispose of it whenever it is idle.
    ///
    /// A resource that is in use may be registered, so acquire it first if it must not go at once.
    ///
    /// # Panics
    ///
    /// If the same [`DisposableResource`](crate::DisposableResource) is registered already.
    pub fn register(&self, disposable: Arc<dyn Disposable>) -> ResourceId {
        let resource = disposable.resource().clone();
        let newcomer = Newcomer {
            class: disposable.class(),
            footprint: disposable.footprint(),
            resource: resource.clone(),
            disposable,
        };
        let class = newcomer.class;
        let mut registry = self.shared.registry();
        let id = registry.insert(newcomer);
        let shared = Arc::downgrade(&self.shared);
        let tied = resource.tie(Link { shared, id });
        let rejected = if tied { None } else { registry.remove(id) };
        let over = self.shared.is_over_ceiling(&registry.totals, class);
        drop(registry);
        assert!(rejected.is_none(), "a resource was registered twice");
        if over {
            self.request_collection();
        }
        id
    }

    /// Forgets a resource, which its owner now has to free.
    ///
    /// `false` if the collector does not have it any more, is disposing of it or has to: then it is
    /// none of the owner's business.
    pub fn unregister(&self, id: ResourceId) -> bool {
        let removed = self.shared.registry().remove(id);
        // The entry may hold the last reference, and its destructor is foreign code.
        removed.is_some_and(|entry| {
            entry.resource.untie();
            true
        })
    }

    /// Lets nobody start to use a resource any more, and has it disposed of as soon as it is idle,
    /// whatever the limits say.
    ///
    /// It is done by the background task, or by the next collection. `false` if it is gone.
    pub fn discard(&self, id: ResourceId) -> bool {
        if self.collector.strong_count() == 0 {
            return self.unregister(id);
        }
        let found = self.shared.registry().discard(id);
        self.request_collection();
        found
    }

    /// Reads again what a resource takes, for an owner whose resource has grown or shrunk.
    pub fn refresh(&self, id: ResourceId) {
        let Some(disposable) = self.shared.registry().disposable(id) else {
            return;
        };
        let (class, footprint) = (disposable.class(), disposable.footprint());
        let mut registry = self.shared.registry();
        registry.resize(id, footprint);
        let over = self.shared.is_over_ceiling(&registry.totals, class);
        drop(registry);
        if over {
            self.request_collection();
        }
    }

    /// Makes room for so many bytes on disk before they are written, or says what is in the way.
    ///
    /// As [`GarbageCollector::reserve`]. Without a collector, everything is granted.
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the room cannot be made.
    ///
    /// # Cancel safety
    ///
    /// Nothing is reserved if the future is dropped. What was freed by then is freed.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        match self.collector.upgrade() {
            Some(collector) => collector.reserve(bytes).await,
            None => Ok(Reservation::new(&self.shared.reserved, bytes)),
        }
    }

    /// Has the background task look now, for whoever was just told that the disk is full.
    pub fn request_collection(&self) {
        self.shared.trigger.notify_one();
    }

    /// How many resources are registered, with those that are being disposed of.
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

/// Readings of nothing.
#[derive(Debug)]
struct Nothing;

impl SystemStats for Nothing {
    fn read(&self) -> Stats {
        Stats::default()
    }
}
