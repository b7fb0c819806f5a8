//! A resource in a cache, as the collector sees it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use runtime_gc::{
    CostClass, Disposable, DisposableResource, DisposeError, Footprint, ResourceId, ResourceTracker,
};

use crate::Resource;
use crate::inner::{Inner, Key};

/// What a hit needs comes first, beside the count of the `Arc` around it: most of a hit is waiting for memory.
#[repr(C)]
pub(crate) struct Entry<K: Key, R: Resource> {
    resource: DisposableResource,
    pub(crate) value: R,
    pub(crate) key: K,
    /// When its construction began, or when that was in an earlier process.
    pub(crate) created: SystemTime,
    /// Names the place in the cache.
    pub(crate) serial: u64,
    cache: Weak<Inner<K, R>>,
    cache_name: Arc<str>,
    tracker: ResourceTracker,
    /// Set when it is registered, which is before anybody gets it.
    id: OnceLock<ResourceId>,
}

/// What makes an entry.
pub(crate) struct Parts<K, R> {
    pub(crate) key: K,
    pub(crate) value: R,
    pub(crate) created: SystemTime,
    pub(crate) serial: u64,
    pub(crate) resource: DisposableResource,
}

impl<K: Key, R: Resource> Entry<K, R> {
    pub(crate) fn new(cache: &Arc<Inner<K, R>>, parts: Parts<K, R>) -> Self {
        Self {
            key: parts.key,
            value: parts.value,
            created: parts.created,
            serial: parts.serial,
            resource: parts.resource,
            cache: Arc::downgrade(cache),
            cache_name: Arc::clone(&cache.name),
            tracker: cache.tracker.clone(),
            id: OnceLock::new(),
        }
    }

    /// Gives it to the collector, once.
    pub(crate) fn register(self: &Arc<Self>) {
        let id = self
            .tracker
            .register(Arc::clone(self) as Arc<dyn Disposable>);
        let _ = self.id.set(id);
    }

    /// Takes it back from the collector, which leaves it as it is.
    pub(crate) fn unregister(&self) {
        if let Some(id) = self.id.get() {
            self.tracker.unregister(*id);
        }
    }

    /// Lets nobody get it any more, and has it disposed of as soon as it is idle.
    pub(crate) fn discard(&self) {
        self.leave_cache();
        self.value.discarded();
        if let Some(id) = self.id.get() {
            self.tracker.discard(*id);
        }
    }

    /// Tells the collector that its size may have changed.
    pub(crate) fn refresh(&self) {
        if let Some(id) = self.id.get() {
            self.tracker.refresh(*id);
        }
    }

    fn leave_cache(&self) {
        if let Some(cache) = self.cache.upgrade() {
            drop(cache.forget(&self.key, self.serial));
        }
    }
}

#[async_trait]
impl<K: Key, R: Resource> Disposable for Entry<K, R> {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}: {:?}", self.cache_name, self.key))
    }

    fn footprint(&self) -> Footprint {
        self.value.footprint()
    }

    fn class(&self) -> CostClass {
        self.value.class()
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        self.leave_cache();
        self.value.dispose().await
    }
}

impl<K: Key, R: Resource> fmt::Debug for Entry<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
