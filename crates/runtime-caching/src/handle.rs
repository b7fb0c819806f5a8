//! The handle of a cached resource.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use runtime_gc::InUse;

use crate::entry::Entry;
use crate::key::CacheKey;
use crate::resource::Resource;
use crate::sharing::Sharing;

/// A handle that keeps a resource in use and releases it on drop.
///
/// In an exclusive cache it is the only handle of its copy, and its holder may modify the resource.
/// [`commit`](Self::commit) releases the resource for the next user. Without a commit, the resource is
/// disposed of, because the task may have been killed while it modified the resource. With the setting
/// [`Uncommitted::Keep`](crate::Uncommitted::Keep), it is kept.
pub struct Handle<K: CacheKey, R: Resource> {
    guard: InUse<Entry<K, R>>,
    discard_on_drop: bool,
    lookup: LookupOutcome,
}

/// The way a request got its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupOutcome {
    /// The cache had it.
    Hit,
    /// The request joined the construction of another request.
    Joined,
    /// It was constructed for this request.
    Miss,
}

impl<K: CacheKey, R: Resource> Handle<K, R> {
    pub(crate) fn new(guard: InUse<Entry<K, R>>, sharing: Sharing, lookup: LookupOutcome) -> Self {
        Self {
            guard,
            discard_on_drop: !sharing.keeps_uncommitted(),
            lookup,
        }
    }

    /// Returns the requested key.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.guard.key
    }

    /// Returns the start of the construction. A purge removes the entries that are older than its request by
    /// this time.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.guard.created
    }

    /// Returns the way the request got its resource.
    #[must_use]
    pub fn lookup(&self) -> LookupOutcome {
        self.lookup
    }

    /// Returns the name of the cache, for errors.
    pub(crate) fn cache_name(&self) -> Arc<str> {
        self.guard.cache_name()
    }

    /// Releases the resource for the next user, and updates its footprint.
    ///
    /// A resource that was purged meanwhile is disposed of.
    pub fn commit(mut self) {
        self.discard_on_drop = false;
        // Before the release: as soon as the resource is idle, the collector may choose it by its size.
        self.guard.refresh();
    }

    /// Releases the resource and removes it from the cache. It is disposed of when all users have released it.
    pub fn poison(mut self) {
        self.discard_on_drop = true;
    }
}

impl<K: CacheKey, R: Resource> Deref for Handle<K, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.guard.value
    }
}

impl<K: CacheKey, R: Resource> Drop for Handle<K, R> {
    fn drop(&mut self) {
        if self.discard_on_drop {
            self.guard.discard();
        }
    }
}

impl<K: CacheKey, R: Resource> fmt::Debug for Handle<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("key", self.key())
            .field("resource", &**self)
            .finish_non_exhaustive()
    }
}
