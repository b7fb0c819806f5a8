//! The task that runs a construction and adds its resource to the cache.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use runtime_gc::{DisposableResource, InUse};

use crate::construction::Construction;
use crate::constructor::ConstructionContext;
use crate::entry::{Entry, EntryInit};
use crate::error::RequireError;
use crate::key::CacheKey;
use crate::map::CacheMap;
use crate::resource::Resource;

type BoxError = Box<dyn Error + Send + Sync>;

/// A construction to run. If it is dropped before its end, its waiters get an error.
///
/// It runs on its own task and belongs to all waiters alike: the one that started it may leave first.
pub(crate) struct ConstructionTask<K: CacheKey, R: Resource> {
    map: Arc<CacheMap<K, R>>,
    key: K,
    serial: u64,
    construction: Construction<K, R>,
    is_complete: bool,
}

enum ConstructError {
    Failed(BoxError),
    Panicked(String),
    RuntimeShutdown,
}

impl<K: CacheKey, R: Resource> ConstructionTask<K, R> {
    pub(crate) fn new(
        map: &Arc<CacheMap<K, R>>,
        key: &K,
        serial: u64,
        construction: Construction<K, R>,
    ) -> Self {
        Self {
            map: Arc::clone(map),
            key: key.clone(),
            serial,
            construction,
            is_complete: false,
        }
    }

    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn context(&self) -> &ConstructionContext {
        self.construction.context()
    }

    /// Polls `work` until it ends or all waiters have left, and passes its result to the waiters.
    pub(crate) async fn run(mut self, work: impl Future<Output = Result<R, BoxError>> + Send) {
        if let Some(result) = self.drive(work).await {
            self.complete(result);
        }
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
                result = &mut work => return Some(result.map_err(|error| self.error(error))),
                () = self.construction.abandoned() => {
                    if self.cancel_if_abandoned() {
                        return None;
                    }
                }
            }
        }
    }

    /// Removes the construction from the map, unless a waiter has joined since the last one left.
    ///
    /// Waiters join under the shard's lock. Counting them under the same lock decides the race: one that joined
    /// before is counted, and one that is later does not find the construction and starts another.
    fn cancel_if_abandoned(&self) -> bool {
        let hash = self.map.hash(&self.key);
        let mut shard = self.map.shard(hash);
        if self.construction.has_waiters() {
            return false;
        }
        let slot = CacheMap::take(&mut shard, hash, self.serial);
        drop(shard);
        drop(slot);
        true
    }

    fn complete(&self, result: Result<R, RequireError>) {
        let result = match result {
            Ok(value) => Ok(self.add(value)),
            Err(error) => {
                // Errors are not cached: the next request constructs again.
                drop(self.map.remove(&self.key, self.serial));
                Err(error)
            }
        };
        // After the map was updated, so that a waiter that requests the key again gets a hit.
        self.construction.complete(result);
    }

    /// Registers the resource and adds it to the map, unless the construction was purged meanwhile.
    ///
    /// A purge removes the slot of the construction. Its waiters asked before the purge and still get the
    /// resource, but nobody else does, and it is disposed of when they release it.
    fn add(&self, value: R) -> InUse<Entry<K, R>> {
        let entry = self.map.new_entry(EntryInit {
            key: self.key.clone(),
            value,
            created: self.construction.began(),
            serial: self.serial,
            resource: DisposableResource::new(),
        });
        // Acquired before it is registered, or the collector could dispose of it at once. Registered before it is
        // in the map, or another thread could discard an entry that has no id yet.
        let guard = InUse::first(Arc::clone(&entry));
        entry.register();
        if self.map.finish(&entry) {
            entry.value.on_committed();
        } else {
            entry.discard();
        }
        guard
    }

    fn error(&self, error: ConstructError) -> RequireError {
        let cache = Arc::clone(&self.map.name);
        let key = format!("{:?}", self.key).into();
        match error {
            ConstructError::Failed(source) => RequireError::Failed {
                cache,
                key,
                source: source.into(),
            },
            ConstructError::Panicked(message) => RequireError::Panicked {
                cache,
                key,
                message: message.into(),
            },
            ConstructError::RuntimeShutdown => RequireError::RuntimeShutdown { cache, key },
        }
    }
}

impl<K: CacheKey, R: Resource> Drop for ConstructionTask<K, R> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.complete(Err(self.error(ConstructError::RuntimeShutdown)));
        }
    }
}

/// Turns a panic of a future into an error.
///
/// Otherwise it would end the task, and the waiters would get the error of a runtime shutdown.
async fn catch_panic<T>(
    future: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, ConstructError> {
    let mut future = pin!(future);
    let result = std::future::poll_fn(|cx| {
        // Unwind safe, because the future is not polled again after a panic.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic_message(&*panic))),
        }
    });
    result
        .await
        .map_err(ConstructError::Panicked)?
        .map_err(ConstructError::Failed)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
