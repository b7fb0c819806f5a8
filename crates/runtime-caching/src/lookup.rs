//! Lookup of a key with single flight: concurrent requests for a key share one construction.

use std::sync::Arc;

use runtime_gc::InUse;

use crate::construction::{Construction, Waiter};
use crate::construction_task::ConstructionTask;
use crate::constructor::ConstructionProgress;
use crate::error::RequireError;
use crate::handle::{Handle, Lookup};
use crate::key::CacheKey;
use crate::map::{CacheMap, Slot, SlotState};
use crate::resource::Resource;
use crate::sharing::Sharing;

/// The result of [`CacheMap::begin`].
pub(crate) enum BeginResult<K: CacheKey, R: Resource> {
    /// The cache has the resource.
    Hit(Handle<K, R>),
    /// Another request constructs it.
    Joined(Waiter<K, R>),
    /// The caller has to run the construction.
    New(ConstructionTask<K, R>, Waiter<K, R>),
}

impl<K: CacheKey, R: Resource> CacheMap<K, R> {
    /// Returns the resource of a key if it is ready, without the cost of a construction's channels.
    pub(crate) fn hit(&self, key: &K) -> Option<Handle<K, R>> {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let mut found = None;
        // In an exclusive cache, a key may have several slots. The search ends at the first that is free.
        shard.find(hash, |slot| {
            found = (slot.key == *key).then(|| self.acquire(slot)).flatten();
            found.is_some()
        });
        drop(shard);
        let handle = found?;
        if handle.is_intact() {
            return Some(handle);
        }
        handle.poison();
        None
    }

    /// Returns the resource or the construction of a key, or adds a construction for the caller to run.
    pub(crate) fn begin(self: &Arc<Self>, key: &K) -> BeginResult<K, R> {
        loop {
            match self.find(key) {
                // Checked without the shard's lock, since a resource may look at the disk.
                BeginResult::Hit(handle) if !handle.is_intact() => handle.poison(),
                found => return found,
            }
        }
    }

    /// Waits for a construction. Returns `None` if it was never run or its resource has broken since: begin again.
    pub(crate) async fn wait(
        &self,
        waiter: Waiter<K, R>,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Option<Handle<K, R>>, RequireError> {
        let lookup = waiter.lookup;
        let Some(result) = waiter.wait(listener).await else {
            return Ok(None);
        };
        let handle = Handle::new(result?, self.sharing, lookup);
        // The request that constructed the resource trusts it. Otherwise a resource that breaks at once would be
        // constructed forever.
        if lookup == Lookup::Joined && !handle.is_intact() {
            handle.poison();
            return Ok(None);
        }
        Ok(Some(handle))
    }

    /// Finds or inserts the slot of a key under one acquisition of the shard's lock.
    ///
    /// With two, concurrent requests could each find nothing and construct twice.
    fn find(self: &Arc<Self>, key: &K) -> BeginResult<K, R> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        let mut slots = shard.iter_hash(hash).filter(|slot| slot.key == *key);
        if let Some(found) = slots.find_map(|slot| self.usable(slot)) {
            return found;
        }
        let construction = Arc::new(Construction::new());
        // Joined before it is in the map, or it could be cancelled for lack of waiters.
        let waiter = construction.join(Lookup::Miss);
        let serial = self.next_serial();
        let slot = Slot {
            key: key.clone(),
            serial,
            state: SlotState::Constructing(Arc::clone(&construction)),
        };
        self.insert(&mut shard, hash, slot);
        drop(shard);
        let task = ConstructionTask::new(self, key, serial, construction);
        BeginResult::New(task, waiter)
    }

    fn usable(&self, slot: &Slot<K, R>) -> Option<BeginResult<K, R>> {
        match &slot.state {
            SlotState::Constructing(construction) if self.sharing == Sharing::Shared => {
                Some(BeginResult::Joined(construction.join(Lookup::Joined)))
            }
            _ => self.acquire(slot).map(BeginResult::Hit),
        }
    }

    /// Acquires the entry of a slot, if it is ready and available.
    fn acquire(&self, slot: &Slot<K, R>) -> Option<Handle<K, R>> {
        let guard = match (&slot.state, self.sharing) {
            (SlotState::Constructing(_), _) => None,
            (SlotState::Ready(entry), Sharing::Shared) => InUse::new(Arc::clone(entry)),
            (SlotState::Ready(entry), Sharing::Exclusive(_)) => InUse::exclusive(Arc::clone(entry)),
        };
        guard.map(|guard| Handle::new(guard, self.sharing, Lookup::Hit))
    }
}
