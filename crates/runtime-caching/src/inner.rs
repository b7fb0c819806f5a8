//! The map behind a cache.
//!
//! Each key has a list of slots. In a shared cache it has one slot at most; in an exclusive one it has
//! one for each copy. A slot holds a construction, then the entry that came of it. A slot that was
//! taken out of the map is *purged*: nobody finds it any more, and whoever has it gives it back to the collector.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use runtime_gc::ResourceTracker;

use crate::construction::Construction;
use crate::entry::{Entry, Parts};
use crate::sys::{Mutex, MutexGuard, SHARDS};
use crate::{Constructor, Resource, Sharing};

/// What a key has to be.
pub trait Key: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> Key for K {}

pub(crate) struct Inner<K: Key, R: Resource> {
    pub(crate) name: Arc<str>,
    pub(crate) sharing: Sharing,
    pub(crate) tracker: ResourceTracker,
    pub(crate) constructor: Arc<dyn Constructor<K, R>>,
    shards: Box<[Mutex<Shard<K, R>>]>,
    hasher: RandomState,
    next_serial: AtomicU64,
}

/// All slots of the keys with one hash.
pub(crate) type Shard<K, R> = HashMap<K, Vec<Slot<K, R>>>;

pub(crate) struct Slot<K: Key, R: Resource> {
    pub(crate) serial: u64,
    pub(crate) phase: Phase<K, R>,
}

pub(crate) enum Phase<K: Key, R: Resource> {
    Building(Construction<K, R>),
    Ready(Arc<Entry<K, R>>),
}

/// What a purge gets to see of a slot.
pub(crate) struct Seen<K: Key, R: Resource> {
    pub(crate) key: K,
    pub(crate) serial: u64,
    pub(crate) created: SystemTime,
    pub(crate) entry: Option<Arc<Entry<K, R>>>,
}

impl<K: Key, R: Resource> Inner<K, R> {
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
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next_serial: AtomicU64::new(0),
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "only the lowest bits are used"
    )]
    pub(crate) fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, R>> {
        // The map inside of the shard uses the highest bits of a hash of its own.
        let hash = self.hasher.hash_one(key) as usize;
        self.shards[hash & (SHARDS - 1)].lock()
    }

    /// Takes a slot out of the map.
    ///
    /// The caller drops it, after the lock: it may hold the last reference to a resource.
    pub(crate) fn forget(&self, key: &K, serial: u64) -> Option<Slot<K, R>> {
        Self::take(&mut self.shard(key), key, serial)
    }

    pub(crate) fn take(shard: &mut Shard<K, R>, key: &K, serial: u64) -> Option<Slot<K, R>> {
        let slots = shard.get_mut(key)?;
        let index = slots.iter().position(|slot| slot.serial == serial)?;
        let slot = slots.remove(index);
        if slots.is_empty() {
            shard.remove(key);
        }
        Some(slot)
    }

    pub(crate) fn entry(self: &Arc<Self>, parts: Parts<K, R>) -> Arc<Entry<K, R>> {
        Arc::new(Entry::new(self, parts))
    }

    /// Puts an entry that nothing here was made for. `false` if the cache is shared and has the key.
    pub(crate) fn adopt(&self, entry: &Arc<Entry<K, R>>) -> bool {
        let mut shard = self.shard(&entry.key);
        let slots = shard.entry(entry.key.clone()).or_default();
        let is_free = slots.is_empty() || self.sharing != Sharing::Shared;
        if is_free {
            let (serial, phase) = (entry.serial, Phase::Ready(Arc::clone(entry)));
            slots.push(Slot { serial, phase });
        }
        is_free
    }

    pub(crate) fn has(&self, key: &K, serial: u64) -> bool {
        let shard = self.shard(key);
        let slots = shard.get(key);
        slots.is_some_and(|slots| slots.iter().any(|slot| slot.serial == serial))
    }

    /// Puts an entry in the place of its construction. `false` if that was purged.
    pub(crate) fn finish(&self, entry: &Arc<Entry<K, R>>) -> bool {
        let mut shard = self.shard(&entry.key);
        let slot = shard
            .get_mut(&entry.key)
            .and_then(|slots| slots.iter_mut().find(|slot| slot.serial == entry.serial));
        let Some(slot) = slot else { return false };
        slot.phase = Phase::Ready(Arc::clone(entry));
        true
    }

    /// What is in the map, for which no more than one shard is locked at a time.
    pub(crate) fn look(&self) -> Vec<Seen<K, R>> {
        let mut seen = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            for (key, slots) in shard.iter() {
                seen.extend(slots.iter().map(|slot| slot.seen(key)));
            }
        }
        seen
    }

    pub(crate) fn len(&self) -> usize {
        let of_shard =
            |shard: &Mutex<Shard<K, R>>| shard.lock().values().map(Vec::len).sum::<usize>();
        self.shards.iter().map(of_shard).sum()
    }
}

impl<K: Key, R: Resource> Slot<K, R> {
    fn seen(&self, key: &K) -> Seen<K, R> {
        let (created, entry) = match &self.phase {
            Phase::Building(construction) => (construction.began(), None),
            Phase::Ready(entry) => (entry.created, Some(Arc::clone(entry))),
        };
        Seen {
            key: key.clone(),
            serial: self.serial,
            created,
            entry,
        }
    }
}

impl<K: Key, R: Resource> Drop for Inner<K, R> {
    fn drop(&mut self) {
        // Nobody can ask for them any more. Those in use go when they are given back.
        for entry in self.look().into_iter().filter_map(|seen| seen.entry) {
            if entry.value.outlives_cache() {
                entry.unregister();
            } else {
                entry.discard();
            }
        }
    }
}
