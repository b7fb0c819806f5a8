//! Single flight: concurrent requests for a key and a source share one construction, which runs on its own task.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use runtime_core::BoxError;
use runtime_core::util::panic_message;
use runtime_gc::{DisposableResource, InUse};

use crate::construction::{Construction, Waiter};
use crate::constructor::{ConstructionContext, ConstructionProgress};
use crate::entry::{Entry, EntryInit};
use crate::error::RequireError;
use crate::handle::{Handle, LookupOutcome};
use crate::key::CacheKey;
use crate::map::{CacheMap, Slot};
use crate::resource::Resource;
use crate::sharing::Sharing;

/// The source of constructions that all requests for a key share.
pub(crate) const ANY_SOURCE: &str = "";

/// The result of [`CacheMap::begin`].
pub(crate) enum MapLookup<K: CacheKey, R: Resource> {
    /// The cache has the resource.
    Hit(Handle<K, R>),
    /// Another request constructs it.
    Joined(Waiter<K, R>),
    /// The caller has to run the construction.
    New(ConstructionTask<K, R>, Waiter<K, R>),
}

impl<K: CacheKey, R: Resource> CacheMap<K, R> {
    /// Returns the resource of a key if it is ready, without the cost of a construction's channels.
    #[inline]
    pub(crate) fn hit(&self, key: &K) -> Option<Handle<K, R>> {
        let handle = self.hit_handle(self.acquire_ready(key)?);
        // The check may look at the disk, and runs after the lock is released.
        if handle.is_intact() {
            return Some(handle);
        }
        handle.poison();
        None
    }

    /// Returns the guard alone, which fits into a register: a `Handle` would be returned in memory.
    fn acquire_ready(&self, key: &K) -> Option<InUse<Entry<K, R>>> {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let mut slots = shard.iter_hash(hash).filter(|slot| slot.key() == key);
        // In an exclusive cache, a key may have several slots. The search ends at the first that is free.
        slots.find_map(|slot| self.acquire(slot))
    }

    /// Returns the resource of a key or its construction from `source`, or adds a construction for the caller to run.
    pub(crate) fn begin(self: &Arc<Self>, key: &K, source: &str) -> MapLookup<K, R> {
        loop {
            match self.find(key, source) {
                // Checked without the shard's lock, since a resource may look at the disk.
                MapLookup::Hit(handle) if !handle.is_intact() => handle.poison(),
                found => return found,
            }
        }
    }

    /// Waits for a construction. Returns `None` if it was never run, or if its resource is no longer usable: the
    /// caller must begin again.
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
        if lookup == LookupOutcome::Joined && !handle.is_intact() {
            handle.poison();
            return Ok(None);
        }
        Ok(Some(handle))
    }

    /// Finds or inserts the slot of a key under one acquisition of the shard's lock.
    ///
    /// With two acquisitions, two concurrent requests could both find no slot, and the resource would be
    /// constructed twice.
    fn find(self: &Arc<Self>, key: &K, source: &str) -> MapLookup<K, R> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        let slots = || shard.iter_hash(hash).filter(|slot| slot.key() == key);
        // A resource that is ready before a construction: another source may have been faster.
        if let Some(guard) = slots().find_map(|slot| self.acquire(slot)) {
            return MapLookup::Hit(self.hit_handle(guard));
        }
        if let Some(waiter) = slots().find_map(|slot| self.join(slot, source)) {
            return MapLookup::Joined(waiter);
        }
        let construction = Construction::new(key.clone(), self.next_serial(), source);
        let construction = Arc::new(construction);
        // Joined before it is in the map, or it could be cancelled for lack of waiters.
        let waiter = construction.join(LookupOutcome::Miss);
        let slot = Slot::Constructing(Arc::clone(&construction));
        self.insert(&mut shard, hash, slot);
        drop(shard);
        let task = ConstructionTask {
            map: Arc::clone(self),
            construction,
            is_complete: false,
        };
        MapLookup::New(task, waiter)
    }

    /// Joins the construction of a slot, if it may be shared and has the same source.
    fn join(&self, slot: &Slot<K, R>, source: &str) -> Option<Waiter<K, R>> {
        // Requests with different sources do not share errors: the second one may have other
        // credentials or another mirror.
        match slot {
            Slot::Constructing(construction)
                if self.sharing == Sharing::Shared && *construction.source == *source =>
            {
                Some(construction.join(LookupOutcome::Joined))
            }
            _ => None,
        }
    }

    /// Acquires the entry of a slot, if it is ready and available.
    fn acquire(&self, slot: &Slot<K, R>) -> Option<InUse<Entry<K, R>>> {
        match (slot, self.sharing) {
            (Slot::Constructing(_), _) => None,
            (Slot::Ready(entry), Sharing::Shared) => InUse::new(Arc::clone(entry)),
            (Slot::Ready(entry), Sharing::Exclusive(_)) => InUse::exclusive(Arc::clone(entry)),
        }
    }

    fn hit_handle(&self, guard: InUse<Entry<K, R>>) -> Handle<K, R> {
        Handle::new(guard, self.sharing, LookupOutcome::Hit)
    }
}

/// A construction to run. If it is dropped before its end, its waiters receive an error.
///
/// It runs on its own task and belongs to all waiters equally: the request that started it may be dropped
/// first.
pub(crate) struct ConstructionTask<K: CacheKey, R: Resource> {
    map: Arc<CacheMap<K, R>>,
    construction: Arc<Construction<K, R>>,
    is_complete: bool,
}

impl<K: CacheKey, R: Resource> ConstructionTask<K, R> {
    pub(crate) fn key(&self) -> &K {
        &self.construction.key
    }

    pub(crate) fn context(&self) -> &ConstructionContext {
        &self.construction.context
    }

    /// Polls `work` until it ends or all waiters have left, and passes its result to the waiters.
    pub(crate) async fn run(mut self, work: impl Future<Output = Result<R, BoxError>> + Send) {
        // `work` is dropped before the waiters get the result: the clean-up of a constructor does
        // not race with their next request.
        if let Some(result) = self.drive(work).await {
            self.complete(result);
        }
        // Even without a result: then there are neither waiters nor a slot.
        self.is_complete = true;
    }

    /// Returns the result of `work`, or `None` if all waiters have left.
    async fn drive(
        &self,
        work: impl Future<Output = Result<R, BoxError>> + Send,
    ) -> Option<Result<R, RequireError>> {
        let mut work = pin!(catch_panic(work));
        loop {
            tokio::select! {
                // A result that is ready is kept, even if the last waiter leaves at the same time.
                biased;
                result = &mut work => return Some(self.describe_errors(result)),
                () = self.construction.result.closed() => {
                    if self.cancel_if_abandoned() {
                        return None;
                    }
                }
            }
        }
    }

    /// Removes the construction from the map, unless a waiter has joined since the last one left.
    ///
    /// Waiters join under the shard's lock, and are counted here under the same lock. A request that joined
    /// before is therefore counted, and a later one does not find the construction and starts another.
    fn cancel_if_abandoned(&self) -> bool {
        let hash = self.map.hash(self.key());
        let mut shard = self.map.shard(hash);
        if self.construction.result.receiver_count() > 0 {
            return false;
        }
        let slot = CacheMap::take(&mut shard, hash, self.construction.serial);
        drop(shard);
        drop(slot);
        true
    }

    fn complete(&self, result: Result<R, RequireError>) {
        let result = match result {
            Ok(value) => Ok(self.add(value)),
            Err(error) => {
                // Errors are not cached: the next request constructs again.
                drop(self.map.remove(self.key(), self.construction.serial));
                Err(error)
            }
        };
        // After the map was updated, so that a waiter that requests the key again gets a hit.
        self.construction.result.send_replace(Some(result));
    }

    /// Registers the resource and adds it to the map, unless the construction was purged meanwhile or another source was
    /// faster.
    ///
    /// A purge removes the slot of the construction. Its waiters made their requests before the purge and still
    /// receive the resource. Later requests do not, and the resource is disposed of when the waiters release it.
    fn add(&self, value: R) -> InUse<Entry<K, R>> {
        let entry = self.map.new_entry(EntryInit {
            key: self.key().clone(),
            value,
            created: self.construction.context.created(),
            serial: self.construction.serial,
            resource: DisposableResource::new(),
        });
        // Acquired before it is registered, or the collector could dispose of it at once. Registered before it is
        // in the map, or another thread could discard an entry that has no id yet.
        let guard = InUse::first(Arc::clone(&entry));
        entry.register();
        if self.map.finish(&entry) {
            // Only now: a resource that does not stay in the cache must not get a record.
            entry.value.on_added();
        } else {
            entry.discard();
        }
        guard
    }

    /// Turns the result of `catch_panic` into the result of a request.
    fn describe_errors(
        &self,
        result: Result<Result<R, BoxError>, String>,
    ) -> Result<R, RequireError> {
        result
            .map_err(|message| {
                let (cache, key) = self.names();
                let message = message.into();
                RequireError::Panicked {
                    cache,
                    key,
                    message,
                }
            })?
            .map_err(|error| {
                let (cache, key) = self.names();
                let source = error.into();
                RequireError::Failed { cache, key, source }
            })
    }

    fn names(&self) -> (Arc<str>, Arc<str>) {
        let key = format!("{:?}", self.key());
        (Arc::clone(self.map.name()), key.into())
    }
}

impl<K: CacheKey, R: Resource> Drop for ConstructionTask<K, R> {
    fn drop(&mut self) {
        if !self.is_complete {
            let (cache, key) = self.names();
            self.complete(Err(RequireError::RuntimeShutdown { cache, key }));
        }
    }
}

/// Returns the message of a panic of `future` as an error.
///
/// Without this, a panic would end the task, and the waiters would receive the error of a runtime shutdown.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // Unwind safe, because the future is not polled again after a panic.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic_message(&*panic).to_owned())),
        }
    })
    .await
}
