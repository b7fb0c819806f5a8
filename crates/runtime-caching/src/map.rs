//! The concurrent map of a cache: the slots of all keys.
//!
//! A key has one slot per copy of its resource, so at most one in a shared cache. An entry that is being disposed
//! of does not count; its slot remains until the disposal succeeds. A slot first holds a construction, then the
//! resulting entry. A slot that was removed from the map is *discarded*: no request finds it, and its last user gives
//! it to the collector.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use hashbrown::{DefaultHashBuilder, HashTable};
use runtime_gc::{DisposableResource, ResourceTracker};

use crate::construction::Construction;
use crate::entry::{Entry, EntryContext, EntryInit, EntryMap};
use crate::key::CacheKey;
use crate::resource::Resource;
use crate::sharing::Sharing;
use crate::sys::{Mutex, MutexGuard, SHARDS};

pub(crate) struct CacheMap<K: CacheKey, R: Resource> {
    pub(crate) sharing: Sharing,
    /// What all entries share.
    context: Arc<EntryContext<K>>,
    shards: Box<[CachePadded<Shard<K, R>>]>,
    hasher: DefaultHashBuilder,
    next_serial: AtomicU64,
}

/// A lock on its own cache line, so that locking a neighbouring shard does not invalidate it.
#[repr(align(64))]
struct CachePadded<T>(Mutex<T>);

/// The slots of all keys whose hash selects this shard. A key has one slot per copy.
pub(crate) type Shard<K, R> = HashTable<Slot<K, R>>;

/// A slot holds no key of its own: a hit reads the entry anyway, and smaller slots leave more of the processor's caches to
/// entries.
pub(crate) enum Slot<K: CacheKey, R: Resource> {
    Constructing(Arc<Construction<K, R>>),
    Ready(Arc<Entry<K, R>>),
}

impl<K: CacheKey, R: Resource> CacheMap<K, R> {
    pub(crate) fn new(name: &str, sharing: Sharing, tracker: ResourceTracker) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| CachePadded(Mutex::default()));
        Arc::new_cyclic(|map: &Weak<Self>| Self {
            sharing,
            context: Arc::new(EntryContext {
                map: map.clone(),
                name: name.into(),
                tracker,
            }),
            shards: shards.collect(),
            hasher: DefaultHashBuilder::default(),
            next_serial: AtomicU64::new(0),
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.context.name
    }

    pub(crate) fn next_serial(&self) -> u64 {
        // `Relaxed`: serials only have to differ.
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, R>> {
        // From the middle of the hash: the table inside the shard uses the highest and the lowest bits.
        let CachePadded(shard) = &self.shards[(hash >> 32) as usize & (SHARDS - 1)];
        shard.lock()
    }

    pub(crate) fn insert(&self, shard: &mut Shard<K, R>, hash: u64, slot: Slot<K, R>) {
        // The hash is computed again when the table grows. Storing it would make slots larger and hits slower.
        shard.insert_unique(hash, slot, |slot| self.hash(slot.key()));
    }

    /// Removes a slot from the map.
    ///
    /// The caller drops the slot without a lock: it may hold the last reference to a resource, whose drop is
    /// foreign code.
    pub(crate) fn remove(&self, key: &K, serial: u64) -> Option<Slot<K, R>> {
        let hash = self.hash(key);
        Self::take(&mut self.shard(hash), hash, serial)
    }

    pub(crate) fn take(shard: &mut Shard<K, R>, hash: u64, serial: u64) -> Option<Slot<K, R>> {
        let found = shard.find_entry(hash, |slot| slot.serial() == serial);
        found.ok().map(|found| found.remove().0)
    }

    pub(crate) fn new_entry(&self, init: EntryInit<K, R>) -> Arc<Entry<K, R>> {
        Arc::new(Entry::new(init, Arc::clone(&self.context)))
    }

    /// Adds a resource without a construction. Returns `false` if the cache is shared and has the key.
    pub(crate) fn adopt(&self, key: K, value: R, created: SystemTime, idle: Duration) -> bool {
        let entry = self.new_entry(EntryInit {
            key,
            value,
            created,
            serial: self.next_serial(),
            resource: DisposableResource::with_idle_time(idle),
        });
        let adopted = self.insert_entry(&entry);
        entry.register();
        // Either the cache has the key, or a purge removed the entry before it had an id to discard.
        if !self.contains(&entry.key, entry.serial) {
            entry.discard();
        }
        adopted
    }

    fn insert_entry(&self, entry: &Arc<Entry<K, R>>) -> bool {
        let hash = self.hash(&entry.key);
        let mut shard = self.shard(hash);
        let existing = shard.find(hash, |slot| *slot.key() == entry.key && !slot.is_retired());
        // A retired entry does not count: it only waits for the end of its disposal.
        if existing.is_some() && self.sharing == Sharing::Shared {
            return false;
        }
        self.insert(&mut shard, hash, Slot::Ready(Arc::clone(entry)));
        true
    }

    fn contains(&self, key: &K, serial: u64) -> bool {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        shard.find(hash, |slot| slot.serial() == serial).is_some()
    }

    /// Replaces a construction by its entry. Returns `false` if the construction was purged, or if the cache is shared
    /// and has the resource from another source.
    pub(crate) fn finish(&self, entry: &Arc<Entry<K, R>>) -> bool {
        let hash = self.hash(&entry.key);
        let mut shard = self.shard(hash);
        if self.sharing == Sharing::Shared && has_ready(&shard, hash, &entry.key) {
            return false;
        }
        let Some(slot) = shard.find_mut(hash, |slot| slot.serial() == entry.serial) else {
            return false;
        };
        let construction = std::mem::replace(slot, Slot::Ready(Arc::clone(entry)));
        // The construction may hold the last reference to foreign code.
        drop(shard);
        drop(construction);
        true
    }

    /// Removes the entries and constructions that the filter selects, and returns their number.
    ///
    /// The filter is foreign code. It is called without a lock, with copies of the slots of one shard at a
    /// time.
    pub(crate) fn purge(&self, filter: impl Fn(&Slot<K, R>) -> bool) -> usize {
        let mut purged = 0;
        for shard in 0..SHARDS {
            // Each slot is removed by its serial, so an entry that is added meanwhile is not affected.
            let selected = self.snapshot(shard).into_iter().filter(|it| filter(it));
            purged += selected
                .filter(|it| self.purge_slot(it.key(), it.serial()))
                .count();
        }
        purged
    }

    /// Removes the entries and constructions of a key that were created before a time, and returns their number.
    pub(crate) fn purge_before(&self, key: &K, created_before: SystemTime) -> usize {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let slots = shard.iter_hash(hash).filter(|slot| slot.key() == key);
        let selected = slots.filter(|slot| slot.created() < created_before);
        // Copied, because removing a slot takes the same lock, and discarding its entry runs
        // foreign code.
        let serials: Vec<u64> = selected.map(Slot::serial).collect();
        drop(shard);
        let serials = serials.into_iter();
        serials
            .filter(|serial| self.purge_slot(key, *serial))
            .count()
    }

    fn purge_slot(&self, key: &K, serial: u64) -> bool {
        // A construction may have ended since it was selected, so the current state of the slot counts.
        let Some(slot) = self.remove(key, serial) else {
            return false;
        };
        // The task of a construction notices that its slot is missing, see `ConstructionTask::add`.
        if let Slot::Ready(entry) = slot {
            entry.discard();
        }
        true
    }

    /// Copies the slots of a shard.
    fn snapshot(&self, shard: usize) -> Vec<Slot<K, R>> {
        let CachePadded(shard) = &self.shards[shard];
        shard.lock().iter().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|CachePadded(shard)| shard.lock().len()).sum()
    }
}

/// Returns whether a shard has an entry for a key that accepts new users.
fn has_ready<K: CacheKey, R: Resource>(shard: &Shard<K, R>, hash: u64, key: &K) -> bool {
    let is_ready = |slot: &Slot<K, R>| {
        slot.key() == key && matches!(slot, Slot::Ready(entry) if !entry.is_retired())
    };
    shard.find(hash, is_ready).is_some()
}

impl<K: CacheKey, R: Resource> EntryMap<K> for CacheMap<K, R> {
    fn remove_slot(&self, key: &K, serial: u64) {
        drop(self.remove(key, serial));
    }

    fn is_replaced(&self, key: &K, serial: u64) -> bool {
        let hash = self.hash(key);
        let other = |slot: &Slot<K, R>| slot.key() == key && slot.serial() != serial;
        // A construction counts too: its entry would be the second one for the key.
        self.sharing == Sharing::Shared && self.shard(hash).find(hash, other).is_some()
    }
}

impl<K: CacheKey, R: Resource> Slot<K, R> {
    #[inline]
    pub(crate) fn key(&self) -> &K {
        match self {
            Self::Constructing(construction) => &construction.key,
            Self::Ready(entry) => &entry.key,
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        match self {
            Self::Constructing(construction) => construction.serial,
            Self::Ready(entry) => entry.serial,
        }
    }

    pub(crate) fn created(&self) -> SystemTime {
        match self {
            Self::Constructing(construction) => construction.context.created(),
            Self::Ready(entry) => entry.created,
        }
    }

    /// Returns the entry, or `None` while it is being constructed.
    pub(crate) fn entry(&self) -> Option<&Arc<Entry<K, R>>> {
        match self {
            Self::Constructing(_) => None,
            Self::Ready(entry) => Some(entry),
        }
    }

    fn is_retired(&self) -> bool {
        matches!(self, Self::Ready(entry) if entry.is_retired())
    }
}

impl<K: CacheKey, R: Resource> Clone for Slot<K, R> {
    fn clone(&self) -> Self {
        match self {
            Self::Constructing(construction) => Self::Constructing(Arc::clone(construction)),
            Self::Ready(entry) => Self::Ready(Arc::clone(entry)),
        }
    }
}

impl<K: CacheKey, R: Resource> Drop for CacheMap<K, R> {
    fn drop(&mut self) {
        // No request can follow. Resources in use are disposed of when they are released.
        for slot in (0..SHARDS).flat_map(|shard| self.snapshot(shard)) {
            match slot {
                Slot::Constructing(_) => {}
                Slot::Ready(entry) if entry.value.is_persistent() => entry.unregister(),
                Slot::Ready(entry) => entry.discard(),
            }
        }
    }
}
