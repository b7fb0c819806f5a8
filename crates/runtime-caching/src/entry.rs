//! A resource in a cache, as the collector sees it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use async_trait::async_trait;
use runtime_gc::{
    CostClass, Disposable, DisposableResource, DisposeError, Footprint, ResourceId, ResourceTracker,
};

use crate::inner::{CacheKey, Inner};
use crate::{Resource, Sharing};

/// What a hit needs comes first, beside the count of the `Arc` around it: most of a hit is waiting for memory.
#[repr(C)]
pub(crate) struct Entry<K: CacheKey, R: Resource> {
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

impl<K: CacheKey, R: Resource> Entry<K, R> {
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
        self.value.on_discarded();
        if let Some(id) = self.id.get() {
            self.tracker.discard(*id);
        }
    }

    /// Whether it is being disposed of, or has to be.
    pub(crate) fn is_going(&self) -> bool {
        self.resource.is_retired()
    }

    /// Tells the collector that its size may have changed.
    pub(crate) fn refresh(&self) {
        if let Some(id) = self.id.get() {
            self.tracker.refresh(*id);
        }
    }

    /// Whether a shared cache has made another for the key.
    fn is_replaced(&self) -> bool {
        let cache = self.cache.upgrade();
        cache.is_some_and(|cache| cache.sharing == Sharing::Shared && cache.has_other(self))
    }

    fn leave_cache(&self) {
        if let Some(cache) = self.cache.upgrade() {
            drop(cache.forget(&self.key, self.serial));
        }
    }
}

#[async_trait]
impl<K: CacheKey, R: Resource> Disposable for Entry<K, R> {
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
        // Nobody gets it meanwhile, since it is claimed; who asks for the key makes another.
        let mut leaving = Leaving(Some(self));
        let ended = self.value.dispose().await;
        if matches!(ended, Err(DisposeError::InUse)) {
            leaving.0 = None;
            if self.is_replaced() {
                self.discard();
            }
        }
        ended
    }
}

/// A disposal after which it is out of the cache, also if it is cut off or panics.
struct Leaving<'a, K: CacheKey, R: Resource>(Option<&'a Entry<K, R>>);

impl<K: CacheKey, R: Resource> Drop for Leaving<'_, K, R> {
    fn drop(&mut self) {
        if let Some(entry) = self.0 {
            entry.leave_cache();
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
