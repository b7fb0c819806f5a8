//! Keyed resources, built once however many ask.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime_gc::{DisposableResource, InUse, ResourceTracker};

use crate::construction::{Construction, Site, Waiter};
use crate::entry::{Entry, Parts};
use crate::inner::{CacheKey, Inner, Phase, Seen, Slot};
use crate::sys::spawn;
use crate::{ConstructionProgress, Constructor, Handle, Lookup, RequireError, Resource};

/// Who may use a resource at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Any number of users; there is one resource for each key, and it is not changed.
    Shared,
    /// One user, who may change it; there are as many copies of a key as were needed at a time.
    Exclusive(Uncommitted),
}

/// What becomes of an exclusive resource that is given back without a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncommitted {
    /// It is disposed of, since its task may have been killed half-way.
    #[default]
    Dispose,
    /// It is kept.
    Keep,
}

/// A cache of resources `R` by keys `K`. A clone is cheap and is the same cache.
///
/// What it holds is registered with the collector, which frees what nobody uses when room is needed.
pub struct Cache<K: CacheKey, R: Resource> {
    inner: Arc<Inner<K, R>>,
}

/// An entry of a cache, as the filter of a purge sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct CachedEntry<'a, K, R> {
    /// Its key.
    pub key: &'a K,
    /// When its construction began.
    pub created: SystemTime,
    /// The resource; `None` while it is being made.
    pub resource: Option<&'a R>,
}

impl<K: CacheKey, R: Resource> Cache<K, R> {
    /// An empty cache. Its name is for reports.
    pub fn new(
        name: &str,
        sharing: Sharing,
        constructor: impl Constructor<K, R>,
        tracker: ResourceTracker,
    ) -> Self {
        let inner = Inner::new(name, sharing, Arc::new(constructor), tracker);
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Gives the resource for a key, which is made first if there is none.
    ///
    /// In a shared cache, all who ask while it is being made wait for the same construction. It runs on
    /// a task of its own, so it does not depend on any of them alone, and is dropped when all have left.
    ///
    /// # Errors
    ///
    /// A [`RequireError`] if it cannot be made, which is given to all who wait, and is not kept.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if it has to be made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the construction to the others who wait. The last one to leave cancels it.
    pub async fn require(&self, key: &K) -> Result<Handle<K, R>, RequireError> {
        // A hit needs nothing of what waiting for a construction takes.
        match self.hit(key) {
            Some(handle) => Ok(handle),
            None => self.require_with(key, |_| {}).await,
        }
    }

    /// As [`require`](Self::require), and tells `listener` how far the construction is.
    ///
    /// The listener is called while this future is polled. If it is slow, it misses steps and holds up nobody else.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require).
    ///
    /// # Panics
    ///
    /// As [`require`](Self::require).
    ///
    /// # Cancel safety
    ///
    /// As [`require`](Self::require).
    pub async fn require_with(
        &self,
        key: &K,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Handle<K, R>, RequireError> {
        let constructor = || Arc::clone(&self.inner.constructor);
        self.obtain(key, constructor, listener).await
    }

    /// As [`require_with`](Self::require_with), with a constructor of one's own: for what only the one who
    /// asks knows, such as whose credentials to fetch it with.
    ///
    /// Who joins a construction gets what the first one's constructor makes, so the key has to say
    /// everything that matters.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require).
    ///
    /// # Panics
    ///
    /// As [`require`](Self::require).
    ///
    /// # Cancel safety
    ///
    /// As [`require`](Self::require).
    pub async fn require_with_constructor(
        &self,
        key: &K,
        constructor: impl Constructor<K, R>,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Handle<K, R>, RequireError> {
        let constructor: Arc<dyn Constructor<K, R>> = Arc::new(constructor);
        self.obtain(key, || Arc::clone(&constructor), listener)
            .await
    }

    /// Puts what an earlier process left, created and last used at these times.
    ///
    /// `false` if the cache is shared and has something for the key: then `value` is disposed of.
    pub fn adopt(&self, key: K, value: R, created: SystemTime, idle: Duration) -> bool {
        let entry = self.inner.entry(Parts {
            key,
            value,
            created,
            serial: self.inner.serial(),
            resource: DisposableResource::with_idle_time(idle),
        });
        let adopted = self.inner.adopt(&entry);
        entry.register();
        // It may have been purged before it was registered.
        if !self.inner.has(&entry.key, entry.serial) {
            entry.discard();
        }
        adopted
    }

    /// Forgets what the filter chooses: nobody gets it any more, and it is disposed of once it is idle.
    ///
    /// What is being made is offered as well. Those who wait for it still get it, nobody else does.
    /// Returns how many were chosen.
    pub fn purge(&self, filter: impl Fn(&CachedEntry<'_, K, R>) -> bool) -> usize {
        let seen = self.inner.look();
        let chosen = seen.into_iter().filter(|it| filter(&it.cached()));
        chosen.filter(|it| self.purge_one(it)).count()
    }

    /// Forgets what has this key and was created before then, which is what the purge-cache service asks for.
    pub fn purge_before(&self, key: &K, created_before: SystemTime) -> usize {
        self.purge(|it| it.key == key && it.created < created_before)
    }

    /// Forgets everything, as [`purge`](Self::purge) does.
    pub fn purge_all(&self) -> usize {
        self.purge(|_| true)
    }

    /// How many entries there are, with those in use and those being made.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn obtain(
        &self,
        key: &K,
        constructor: impl Fn() -> Arc<dyn Constructor<K, R>>,
        mut listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Handle<K, R>, RequireError> {
        loop {
            let waiter = match self.begin(key) {
                Begun::Hit(handle) => return Ok(handle),
                Begun::Joined(waiter) => waiter,
                Begun::New(site, waiter) => {
                    let (constructor, context) = (constructor(), site.context().clone());
                    let key = key.clone();
                    // The block calls `construct` when it is polled, so that a panic in the call is caught as well.
                    spawn(site.run(async move { constructor.construct(key, context).await }));
                    waiter
                }
            };
            if let Some(handle) = self.wait(waiter, &mut listener).await? {
                return Ok(handle);
            }
        }
    }

    /// Waits for a construction; `None` if it was never run or its resource has broken since: begin again.
    pub(crate) async fn wait(
        &self,
        waiter: Waiter<K, R>,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Option<Handle<K, R>>, RequireError> {
        let lookup = waiter.lookup;
        let Some(outcome) = waiter.wait(listener).await else {
            return Ok(None);
        };
        let pin = outcome?;
        // The caller that began it trusts the new resource: one that breaks at once would be made again for ever.
        if lookup == Lookup::Joined && !pin.value.is_intact() {
            pin.discard();
            return Ok(None);
        }
        Ok(Some(Handle::new(pin, self.inner.sharing, lookup)))
    }

    fn hit(&self, key: &K) -> Option<Handle<K, R>> {
        let hash = self.inner.hash(key);
        let shard = self.inner.shard(hash);
        let mut pin = None;
        shard.find(hash, |slot| {
            pin = (slot.key == *key).then(|| self.pin(slot)).flatten();
            pin.is_some()
        });
        drop(shard);
        let pin = pin?;
        if pin.value.is_intact() {
            return Some(Handle::new(pin, self.inner.sharing, Lookup::Hit));
        }
        pin.discard();
        None
    }

    fn purge_one(&self, seen: &Seen<K, R>) -> bool {
        // A construction may have ended since it was seen, so ask what is there now.
        match self.inner.forget(&seen.key, seen.serial) {
            Some(Slot {
                phase: Phase::Ready(entry),
                ..
            }) => {
                entry.discard();
                true
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Returns the resource or the running construction of a key, or adds a construction for the caller to run.
    ///
    /// Lookup and insertion happen under one lock of the shard: that is what makes a construction single flight.
    pub(crate) fn begin(&self, key: &K) -> Begun<K, R> {
        loop {
            let pin = match self.find(key) {
                Found::Building(begun) => return begun,
                Found::Ready(pin) => pin,
            };
            // Checked outside the lock of the shard, since a resource may look at the disk.
            if pin.value.is_intact() {
                return Begun::Hit(Handle::new(pin, self.inner.sharing, Lookup::Hit));
            }
            pin.discard();
        }
    }

    fn find(&self, key: &K) -> Found<K, R> {
        let hash = self.inner.hash(key);
        let mut shard = self.inner.shard(hash);
        let mut slots = shard.iter_hash(hash).filter(|slot| slot.key == *key);
        if let Some(found) = slots.find_map(|slot| self.usable(slot)) {
            return found;
        }
        let construction = Construction::new();
        let (running, waiter) = (construction.again(), construction.join(Lookup::Miss));
        let serial = self.inner.serial();
        let slot = Slot {
            key: key.clone(),
            serial,
            phase: Phase::Building(construction),
        };
        self.inner.insert(&mut shard, hash, slot);
        drop(shard);
        let site = Site::new(&self.inner, key, serial, running);
        Found::Building(Begun::New(site, waiter))
    }

    fn usable(&self, slot: &Slot<K, R>) -> Option<Found<K, R>> {
        match &slot.phase {
            Phase::Building(construction) if self.inner.sharing == Sharing::Shared => {
                let waiter = construction.join(Lookup::Joined);
                Some(Found::Building(Begun::Joined(waiter)))
            }
            _ => self.pin(slot).map(Found::Ready),
        }
    }

    /// What is in the slot, if it is made and may be used.
    fn pin(&self, slot: &Slot<K, R>) -> Option<InUse<Entry<K, R>>> {
        match (&slot.phase, self.inner.sharing) {
            (Phase::Building(_), _) => None,
            (Phase::Ready(entry), Sharing::Shared) => InUse::new(Arc::clone(entry)),
            (Phase::Ready(entry), Sharing::Exclusive(_)) => InUse::exclusive(Arc::clone(entry)),
        }
    }
}

enum Found<K: CacheKey, R: Resource> {
    Ready(InUse<Entry<K, R>>),
    Building(Begun<K, R>),
}

/// How a request for a key begins.
pub(crate) enum Begun<K: CacheKey, R: Resource> {
    /// The resource is there.
    Hit(Handle<K, R>),
    /// Another caller constructs it.
    Joined(Waiter<K, R>),
    /// The caller has to run the construction.
    New(Site<K, R>, Waiter<K, R>),
}

impl<K: CacheKey, R: Resource> Seen<K, R> {
    fn cached(&self) -> CachedEntry<'_, K, R> {
        CachedEntry {
            key: &self.key,
            created: self.created,
            resource: self.entry.as_ref().map(|entry| &entry.value),
        }
    }
}

impl<K: CacheKey, R: Resource> Clone for Cache<K, R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K: CacheKey, R: Resource> fmt::Debug for Cache<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.inner.name)
            .field("sharing", &self.inner.sharing)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
