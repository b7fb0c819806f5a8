//! The map behind a cache.
//!
//! A key has a slot for each copy, so in a shared cache it has one at most, not counting what the collector
//! is disposing of, which stays until it is known that it goes. A slot holds a construction, then the entry
//! that came of it. A slot that was taken out of the map is *purged*: nobody finds it any more, and whoever
//! has it gives it back to the collector.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use hashbrown::{DefaultHashBuilder, HashTable};
use runtime_gc::ResourceTracker;

use crate::construction::Construction;
use crate::entry::{Entry, Parts};
use crate::sys::{Mutex, MutexGuard, SHARDS};
use crate::{Constructor, Resource, Sharing};

/// What a key has to be.
pub trait CacheKey: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> CacheKey for K {}

pub(crate) struct Inner<K: CacheKey, R: Resource> {
    pub(crate) name: Arc<str>,
    pub(crate) sharing: Sharing,
    pub(crate) tracker: ResourceTracker,
    pub(crate) constructor: Arc<dyn Constructor<K, R>>,
    shards: Box<[Apart<Shard<K, R>>]>,
    hasher: DefaultHashBuilder,
    next_serial: AtomicU64,
}

/// A lock that shares no line of the processor's caches with its neighbours, which other threads change.
#[repr(align(64))]
struct Apart<T>(Mutex<T>);

/// The slots of the keys whose hashes fall here. A key has as many as there are copies.
pub(crate) type Shard<K, R> = HashTable<Slot<K, R>>;

pub(crate) struct Slot<K: CacheKey, R: Resource> {
    pub(crate) key: K,
    pub(crate) serial: u64,
    pub(crate) phase: Phase<K, R>,
}

pub(crate) enum Phase<K: CacheKey, R: Resource> {
    Building(Construction<K, R>),
    Ready(Arc<Entry<K, R>>),
}

/// What a purge gets to see of a slot.
pub(crate) struct Seen<K: CacheKey, R: Resource> {
    pub(crate) key: K,
    pub(crate) serial: u64,
    pub(crate) created: SystemTime,
    pub(crate) entry: Option<Arc<Entry<K, R>>>,
}

impl<K: CacheKey, R: Resource> Inner<K, R> {
    pub(crate) fn new(
        name: &str,
        sharing: Sharing,
        constructor: Arc<dyn Constructor<K, R>>,
        tracker: ResourceTracker,
    ) -> Self {
        Self {
            name: name.into(),
            sharing,
            tracker,
            constructor,
            shards: (0..SHARDS).map(|_| Apart(Mutex::default())).collect(),
            hasher: DefaultHashBuilder::default(),
            next_serial: AtomicU64::new(0),
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, R>> {
        // The table inside of the shard uses the highest and the lowest bits.
        let Apart(shard) = &self.shards[(hash >> 32) as usize & (SHARDS - 1)];
        shard.lock()
    }

    pub(crate) fn insert(&self, shard: &mut Shard<K, R>, hash: u64, slot: Slot<K, R>) {
        // A hash kept in the slot would make a hit wait for more memory, to save time when the table grows.
        shard.insert_unique(hash, slot, |slot| self.hash(&slot.key));
    }

    /// Takes a slot out of the map.
    ///
    /// The caller drops it, after the lock: it may hold the last reference to a resource.
    pub(crate) fn forget(&self, key: &K, serial: u64) -> Option<Slot<K, R>> {
        let hash = self.hash(key);
        Self::take(&mut self.shard(hash), hash, serial)
    }

    pub(crate) fn take(shard: &mut Shard<K, R>, hash: u64, serial: u64) -> Option<Slot<K, R>> {
        let found = shard.find_entry(hash, |slot| slot.serial == serial);
        found.ok().map(|found| found.remove().0)
    }

    pub(crate) fn entry(self: &Arc<Self>, parts: Parts<K, R>) -> Arc<Entry<K, R>> {
        Arc::new(Entry::new(self, parts))
    }

    /// Puts an entry that nothing here was made for. `false` if the cache is shared and has the key.
    pub(crate) fn adopt(&self, entry: &Arc<Entry<K, R>>) -> bool {
        let hash = self.hash(&entry.key);
        let mut shard = self.shard(hash);
        let is_taken = shard.find(hash, |slot| slot.key == entry.key && !slot.is_going());
        if is_taken.is_some() && self.sharing == Sharing::Shared {
            return false;
        }
        let slot = Slot {
            key: entry.key.clone(),
            serial: entry.serial,
            phase: Phase::Ready(Arc::clone(entry)),
        };
        self.insert(&mut shard, hash, slot);
        true
    }

    /// Whether the key has another slot than this entry's.
    pub(crate) fn has_other(&self, entry: &Entry<K, R>) -> bool {
        let hash = self.hash(&entry.key);
        let shard = self.shard(hash);
        let other = |slot: &Slot<K, R>| slot.key == entry.key && slot.serial != entry.serial;
        shard.find(hash, other).is_some()
    }

    pub(crate) fn has(&self, key: &K, serial: u64) -> bool {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        shard.find(hash, |slot| slot.serial == serial).is_some()
    }

    /// Puts an entry in the place of its construction. `false` if that was purged.
    pub(crate) fn finish(&self, entry: &Arc<Entry<K, R>>) -> bool {
        let hash = self.hash(&entry.key);
        let mut shard = self.shard(hash);
        let Some(slot) = shard.find_mut(hash, |slot| slot.serial == entry.serial) else {
            return false;
        };
        let building = std::mem::replace(&mut slot.phase, Phase::Ready(Arc::clone(entry)));
        drop(shard);
        drop(building);
        true
    }

    /// What is in the map, for which no more than one shard is locked at a time.
    pub(crate) fn look(&self) -> Vec<Seen<K, R>> {
        let mut seen = Vec::new();
        for Apart(shard) in &self.shards {
            seen.extend(shard.lock().iter().map(Slot::seen));
        }
        seen
    }

    pub(crate) fn len(&self) -> usize {
        let lens = self.shards.iter().map(|Apart(shard)| shard.lock().len());
        lens.sum()
    }
}

impl<K: CacheKey, R: Resource> Slot<K, R> {
    /// Whether nobody can use what is in it any more.
    fn is_going(&self) -> bool {
        matches!(&self.phase, Phase::Ready(entry) if entry.is_going())
    }

    fn seen(&self) -> Seen<K, R> {
        let (created, entry) = match &self.phase {
            Phase::Building(construction) => (construction.began(), None),
            Phase::Ready(entry) => (entry.created, Some(Arc::clone(entry))),
        };
        Seen {
            key: self.key.clone(),
            serial: self.serial,
            created,
            entry,
        }
    }
}

impl<K: CacheKey, R: Resource> Drop for Inner<K, R> {
    fn drop(&mut self) {
        // Nobody can ask for them any more. Those in use go when they are given back.
        for entry in self.look().into_iter().filter_map(|seen| seen.entry) {
            if entry.value.is_persistent() {
                entry.unregister();
            } else {
                entry.discard();
            }
        }
    }
}
