//! What a user of a cache holds.

use std::fmt;
use std::ops::Deref;
use std::time::SystemTime;

use runtime_gc::InUse;

use crate::entry::Entry;
use crate::inner::CacheKey;
use crate::{Resource, Sharing, Uncommitted};

/// A resource that stays there for as long as this does. Dropping it gives the resource back.
///
/// From an exclusive cache it is the only one of its copy, and its holder may change the resource. Then
/// [`commit`](Self::commit) says that it is fit for the next user. Without, it is disposed of, unless
/// the cache was told to [keep](Uncommitted::Keep) it: a task that was killed half-way leaves nothing behind.
pub struct Handle<K: CacheKey, R: Resource> {
    pin: InUse<Entry<K, R>>,
    /// What to do with it when it is given back.
    end: End,
    lookup: Lookup,
}

/// How a resource was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// It was there.
    Hit,
    /// It was being made for somebody else.
    Joined,
    /// It was made for this request.
    Miss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Keep,
    Discard,
}

impl<K: CacheKey, R: Resource> Handle<K, R> {
    pub(crate) fn new(pin: InUse<Entry<K, R>>, sharing: Sharing, lookup: Lookup) -> Self {
        let end = match sharing {
            Sharing::Shared | Sharing::Exclusive(Uncommitted::Keep) => End::Keep,
            Sharing::Exclusive(Uncommitted::Dispose) => End::Discard,
        };
        Self { pin, end, lookup }
    }

    /// The key that it was required by.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.pin.key
    }

    /// When its construction began, which is what the purge of caches "created before" goes by.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.pin.created
    }

    /// Whether it was there or had to be made.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        self.lookup
    }

    /// Gives it back for others to use, and has its size read again.
    ///
    /// If it was purged meanwhile, it is disposed of all the same.
    pub fn commit(mut self) {
        self.end = End::Keep;
        self.pin.refresh();
    }

    /// Gives it back and says that nobody must get it again: it is disposed of once all users have left.
    pub fn poison(mut self) {
        self.end = End::Discard;
    }
}

impl<K: CacheKey, R: Resource> Deref for Handle<K, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.pin.value
    }
}

impl<K: CacheKey, R: Resource> Drop for Handle<K, R> {
    fn drop(&mut self) {
        if self.end == End::Discard {
            self.pin.discard();
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
