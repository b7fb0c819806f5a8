//! The cache of keyed resources.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use runtime_gc::ResourceTracker;

use crate::constructor::{ConstructionProgress, Constructor};
use crate::error::RequireError;
use crate::handle::Handle;
use crate::key::CacheKey;
use crate::map::{CacheMap, Slot};
use crate::resource::Resource;
use crate::sharing::Sharing;
use crate::single_flight::{ANY_SOURCE, MapLookup};
use crate::sys::spawn;

/// A cache of resources `R` by keys `K`. Clones share the cache.
///
/// Each resource is registered with the collector, which disposes of idle ones when space is needed.
pub struct Cache<K: CacheKey, R: Resource> {
    pub(crate) map: Arc<CacheMap<K, R>>,
    constructor: Arc<dyn Constructor<K, R>>,
}

/// An entry of a cache, for the filter of a purge.
#[derive(Debug)]
#[non_exhaustive]
pub struct CachedEntry<'a, K, R> {
    /// The key.
    pub key: &'a K,
    /// The start of the construction.
    pub created: SystemTime,
    /// The resource; `None` while it is being constructed.
    pub resource: Option<&'a R>,
}

impl<K: CacheKey, R: Resource> Cache<K, R> {
    /// Creates an empty cache. `name` identifies it in reports and errors.
    pub fn new(
        name: &str,
        sharing: Sharing,
        constructor: impl Constructor<K, R>,
        tracker: ResourceTracker,
    ) -> Self {
        Self {
            map: CacheMap::new(name, sharing, tracker),
            constructor: Arc::new(constructor),
        }
    }

    /// Returns the resource for a key, and constructs it if the cache does not have it.
    ///
    /// In a shared cache, concurrent requests for a key wait for one construction. It runs on its own task, independent
    /// of any single request, and is cancelled when all requests for it have been dropped. The cache sets no time
    /// limit: a constructor that hangs is cancelled when its waiters reach their own limits.
    ///
    /// # Errors
    ///
    /// A [`RequireError`] if the construction fails. All waiters receive it, and it is not cached.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if the resource has to be constructed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the construction to the other waiters. Dropping the last one cancels it.
    pub fn require<'a>(
        &'a self,
        key: &'a K,
    ) -> impl Future<Output = Result<Handle<K, R>, RequireError>> + Send + 'a {
        Require {
            cache: self,
            key,
            construction: None,
        }
    }

    /// Returns the resource for a key like [`require`](Self::require), and passes progress to `listener`.
    ///
    /// The listener is called while this future is polled. A slow listener skips steps and does not delay
    /// other requests.
    ///
    /// # Errors
    ///
    /// Same as [`require`](Self::require).
    ///
    /// # Panics
    ///
    /// Same as [`require`](Self::require).
    ///
    /// # Cancel safety
    ///
    /// Same as [`require`](Self::require).
    pub async fn require_with_progress(
        &self,
        key: &K,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Handle<K, R>, RequireError> {
        self.require_from(key, &self.constructor, listener).await
    }

    /// Returns the resource for a key like [`require_with_progress`](Self::require_with_progress), with another constructor.
    ///
    /// Use it if the constructor depends on the request, for example on the credentials to fetch with. A request
    /// that joins a construction receives the result of the first request's constructor, so the key must contain
    /// everything that distinguishes the resources.
    ///
    /// # Errors
    ///
    /// Same as [`require`](Self::require).
    ///
    /// # Panics
    ///
    /// Same as [`require`](Self::require).
    ///
    /// # Cancel safety
    ///
    /// Same as [`require`](Self::require).
    pub async fn require_with_constructor(
        &self,
        key: &K,
        constructor: impl Constructor<K, R>,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Handle<K, R>, RequireError> {
        let constructor: Arc<dyn Constructor<K, R>> = Arc::new(constructor);
        self.require_from(key, &constructor, listener).await
    }

    async fn require_from(
        &self,
        key: &K,
        constructor: &Arc<dyn Constructor<K, R>>,
        mut listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Handle<K, R>, RequireError> {
        loop {
            let waiter = match self.map.begin(key, ANY_SOURCE) {
                MapLookup::Hit(handle) => return Ok(handle),
                MapLookup::Joined(waiter) => waiter,
                MapLookup::New(task, waiter) => {
                    let (constructor, context) = (Arc::clone(constructor), task.context().clone());
                    let key = key.clone();
                    // `construct` is called when the block is polled, so that a panic in the call is caught, too.
                    spawn(task.run(async move { constructor.construct(key, context).await }));
                    waiter
                }
            };
            if let Some(handle) = self.map.wait(waiter, &mut listener).await? {
                return Ok(handle);
            }
        }
    }

    /// Adds a resource left by an earlier process. `created` is the start of its construction, `idle` the time
    /// since its last use.
    ///
    /// Returns `false` if the cache is shared and has the key already. In this case, `value` is disposed of.
    pub fn adopt(&self, key: K, value: R, created: SystemTime, idle: Duration) -> bool {
        self.map.adopt(key, value, created, idle)
    }

    /// Removes the entries that the filter selects, and disposes of each once it is idle.
    ///
    /// The filter is also called for entries under construction: the waiters of a removed one still receive the
    /// resource, but later requests do not. Returns the number of removed entries.
    pub fn purge(&self, filter: impl Fn(&CachedEntry<'_, K, R>) -> bool) -> usize {
        self.map.purge(|it| filter(&it.as_cached()))
    }

    /// Removes the entries of a key created before this time, as the purge-cache service requests.
    pub fn purge_before(&self, key: &K, created_before: SystemTime) -> usize {
        self.map.purge_before(key, created_before)
    }

    /// Removes all entries, as [`purge`](Self::purge) does.
    pub fn purge_all(&self) -> usize {
        self.purge(|_| true)
    }

    /// Returns the number of entries, including those in use and under construction.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The future of [`Cache::require`].
///
/// Not an `async fn`: its code would be too large to be inlined, and a hit would spend an eighth of its time on copies of its
/// result. The construction is boxed, so that the future is small.
struct Require<'a, K: CacheKey, R: Resource> {
    cache: &'a Cache<K, R>,
    key: &'a K,
    construction: Option<RequireFuture<'a, K, R>>,
}

type RequireFuture<'a, K, R> =
    Pin<Box<dyn Future<Output = Result<Handle<K, R>, RequireError>> + Send + 'a>>;

impl<K: CacheKey, R: Resource> Future for Require<'_, K, R> {
    type Output = Result<Handle<K, R>, RequireError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.construction.is_none()
            && let Some(handle) = self.cache.map.hit(self.key)
        {
            return Poll::Ready(Ok(handle));
        }
        self.poll_construction(cx)
    }
}

impl<K: CacheKey, R: Resource> Require<'_, K, R> {
    #[cold]
    fn poll_construction(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Handle<K, R>, RequireError>> {
        let (cache, key) = (self.cache, self.key);
        let construct = || Box::pin(cache.require_with_progress(key, |_| {})) as _;
        let construction = self.construction.get_or_insert_with(construct);
        construction.as_mut().poll(cx)
    }
}

impl<K: CacheKey, R: Resource> Slot<K, R> {
    fn as_cached(&self) -> CachedEntry<'_, K, R> {
        CachedEntry {
            key: self.key(),
            created: self.created(),
            resource: self.entry().map(|entry| &entry.value),
        }
    }
}

impl<K: CacheKey, R: Resource> Clone for Cache<K, R> {
    fn clone(&self) -> Self {
        Self {
            map: Arc::clone(&self.map),
            constructor: Arc::clone(&self.constructor),
        }
    }
}

impl<K: CacheKey, R: Resource> fmt::Debug for Cache<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", self.map.name())
            .field("sharing", &self.map.sharing)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
