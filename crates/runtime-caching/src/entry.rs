//! A cached resource in the form that the collector disposes of.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use runtime_gc::{
    CostClass, Disposable, DisposableResource, DisposeError, Footprint, ResourceId, ResourceTracker,
};

use crate::key::CacheKey;
use crate::resource::Resource;

/// A cached resource.
///
/// The fields that a hit reads are first, next to the reference count of the surrounding `Arc`: most of the
/// time of a hit is spent on cache misses of the processor.
#[repr(C)]
pub(crate) struct Entry<K: CacheKey, R: Resource> {
    resource: DisposableResource,
    pub(crate) key: K,
    pub(crate) value: R,
    /// The start of the construction, possibly in an earlier process.
    pub(crate) created: SystemTime,
    /// Identifies the slot of the map.
    pub(crate) serial: u64,
    context: Arc<EntryContext<K>>,
    /// Set at registration, before any use of the entry.
    id: OnceLock<ResourceId>,
}

/// The cache of an entry.
pub(crate) struct EntryContext<K> {
    /// Weak, because the map holds the entries.
    pub(crate) map: Weak<dyn EntryMap<K>>,
    pub(crate) name: Arc<str>,
    pub(crate) tracker: ResourceTracker,
}

/// The map that holds an entry, for the entry's own use.
pub(crate) trait EntryMap<K>: Send + Sync {
    /// Removes the slot with this serial, if it is still there.
    fn remove_slot(&self, key: &K, serial: u64);

    /// Returns whether the map is shared and has another slot for the key.
    fn is_replaced(&self, key: &K, serial: u64) -> bool;
}

/// The values that distinguish a new entry from others of its cache.
pub(crate) struct EntryInit<K, R> {
    pub(crate) key: K,
    pub(crate) value: R,
    pub(crate) created: SystemTime,
    pub(crate) serial: u64,
    pub(crate) resource: DisposableResource,
}

impl<K: CacheKey, R: Resource> Entry<K, R> {
    pub(crate) fn new(init: EntryInit<K, R>, context: Arc<EntryContext<K>>) -> Self {
        Self {
            key: init.key,
            value: init.value,
            created: init.created,
            serial: init.serial,
            resource: init.resource,
            context,
            id: OnceLock::new(),
        }
    }

    /// Registers the entry with the collector. Called once.
    pub(crate) fn register(self: &Arc<Self>) {
        let tracker = &self.context.tracker;
        let id = tracker.register(Arc::clone(self) as Arc<dyn Disposable>);
        // Cannot be set already: an entry is registered once.
        let _ = self.id.set(id);
    }

    /// Unregisters the entry, so that the collector does not dispose of it.
    pub(crate) fn unregister(&self) {
        if let Some(id) = self.id.get() {
            self.context.tracker.unregister(*id);
        }
    }

    /// Removes the entry from the map, and disposes of it as soon as it is idle.
    pub(crate) fn discard(&self) {
        // First the map and the record, so that neither a request nor the next process finds the resource
        // while the collector disposes of it.
        self.leave_map();
        self.value.on_discarded();
        if let Some(id) = self.id.get() {
            self.context.tracker.discard(*id);
        }
    }

    /// Returns whether the entry accepts no new users.
    pub(crate) fn is_retired(&self) -> bool {
        self.resource.is_retired()
    }

    pub(crate) fn cache_name(&self) -> Arc<str> {
        Arc::clone(&self.context.name)
    }

    /// Requests that the collector reads the footprint again.
    pub(crate) fn refresh(&self) {
        if let Some(id) = self.id.get() {
            self.context.tracker.refresh(*id);
        }
    }

    fn is_replaced(&self) -> bool {
        let map = self.context.map.upgrade();
        map.is_some_and(|map| map.is_replaced(&self.key, self.serial))
    }

    fn leave_map(&self) {
        if let Some(map) = self.context.map.upgrade() {
            map.remove_slot(&self.key, self.serial);
        }
    }
}

#[async_trait]
impl<K: CacheKey, R: Resource> Disposable for Entry<K, R> {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}: {:?}", self.context.name, self.key))
    }

    fn footprint(&self) -> Footprint {
        self.value.footprint()
    }

    fn class(&self) -> CostClass {
        self.value.class()
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        // The entry stays in the map until the disposal ends, because it may turn out to be in use elsewhere.
        // It is claimed, so a request for the key does not find it and constructs another one.
        let mut leave = LeaveMapOnDrop(Some(self));
        let result = self.value.dispose().await;
        if matches!(result, Err(DisposeError::InUseElsewhere)) {
            leave.0 = None;
            // A shared cache has one resource per key, and the new one already has users.
            if self.is_replaced() {
                self.discard();
            }
        }
        result
    }
}

/// Removes an entry from the map after its disposal, even if the disposal is cancelled or panics.
struct LeaveMapOnDrop<'a, K: CacheKey, R: Resource>(Option<&'a Entry<K, R>>);

impl<K: CacheKey, R: Resource> Drop for LeaveMapOnDrop<'_, K, R> {
    fn drop(&mut self) {
        // On success there is nothing to return to. On failure the resource may be half removed.
        if let Some(entry) = self.0 {
            entry.leave_map();
        }
    }
}

impl<K: CacheKey, R: Resource> fmt::Debug for Entry<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
