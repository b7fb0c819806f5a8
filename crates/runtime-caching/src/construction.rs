//! One construction, and those who wait for it.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use runtime_gc::{DisposableResource, InUse};

use crate::entry::{Entry, Parts};
use crate::inner::{CacheKey, Inner};
use crate::sys::watch;
use crate::{ConstructionContext, ConstructionProgress, Lookup, RequireError, Resource};

type BoxError = Box<dyn Error + Send + Sync>;

/// What everybody who waits gets. It keeps the resource in use until they have all taken it.
type Outcome<K, R> = Result<InUse<Entry<K, R>>, RequireError>;

/// A construction that runs, as the map holds it: one pointer, so that the slots of what is made stay small.
pub(crate) struct Construction<K: CacheKey, R: Resource>(Arc<Work<K, R>>);

struct Work<K: CacheKey, R: Resource> {
    build: ConstructionContext,
    outcome: watch::Sender<Option<Outcome<K, R>>>,
}

/// Somebody who waits. When all have left, the construction is cancelled.
pub(crate) struct Waiter<K: CacheKey, R: Resource> {
    outcome: watch::Receiver<Option<Outcome<K, R>>>,
    progress: watch::Receiver<ConstructionProgress>,
    pub(crate) lookup: Lookup,
}

impl<K: CacheKey, R: Resource> Construction<K, R> {
    /// To be put into the map, and to be run.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Work {
            build: ConstructionContext::new(),
            outcome: watch::Sender::new(None),
        }))
    }

    pub(crate) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    pub(crate) fn began(&self) -> SystemTime {
        self.0.build.began()
    }

    pub(crate) fn join(&self, lookup: Lookup) -> Waiter<K, R> {
        Waiter {
            lookup,
            outcome: self.0.outcome.subscribe(),
            progress: self.0.build.listen(),
        }
    }

    fn outcome(&self) -> &watch::Sender<Option<Outcome<K, R>>> {
        &self.0.outcome
    }
}

/// Where the work is done. If it is dropped half-way, those who wait are told.
pub(crate) struct Site<K: CacheKey, R: Resource> {
    cache: Arc<Inner<K, R>>,
    key: K,
    serial: u64,
    construction: Construction<K, R>,
    is_settled: bool,
}

impl<K: CacheKey, R: Resource> Site<K, R> {
    pub(crate) fn new(
        cache: &Arc<Inner<K, R>>,
        key: &K,
        serial: u64,
        construction: Construction<K, R>,
    ) -> Self {
        Self {
            cache: Arc::clone(cache),
            key: key.clone(),
            serial,
            construction,
            is_settled: false,
        }
    }

    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn context(&self) -> &ConstructionContext {
        &self.construction.0.build
    }

    /// Polls `work` until it ends or all waiters have left, and passes its result to the waiters.
    pub(crate) async fn run(mut self, work: impl Future<Output = Result<R, BoxError>> + Send) {
        if let Some(made) = self.construct(work).await {
            self.settle(made);
        }
        self.is_settled = true;
    }

    /// Returns the result of `work`, or `None` if all waiters have left.
    async fn construct(
        &self,
        work: impl Future<Output = Result<R, BoxError>> + Send,
    ) -> Option<Result<R, RequireError>> {
        let mut work = pin!(caught(work));
        loop {
            tokio::select! {
                biased;
                made = &mut work => return Some(made.map_err(|trouble| self.error(trouble))),
                () = self.construction.outcome().closed() => {
                    if self.is_abandoned() {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes the construction out of the map, unless somebody has joined since the last one left.
    fn is_abandoned(&self) -> bool {
        let hash = self.cache.hash(&self.key);
        let mut shard = self.cache.shard(hash);
        if self.construction.outcome().receiver_count() > 0 {
            return false;
        }
        let slot = Inner::take(&mut shard, hash, self.serial);
        drop(shard);
        drop(slot);
        true
    }

    fn settle(&self, made: Result<R, RequireError>) {
        let outcome = match made {
            Ok(value) => Ok(self.admit(value)),
            Err(error) => {
                drop(self.cache.forget(&self.key, self.serial));
                Err(error)
            }
        };
        self.construction.outcome().send_replace(Some(outcome));
    }

    /// Registers what was made. If it was purged meanwhile, only those who waited get it.
    fn admit(&self, value: R) -> InUse<Entry<K, R>> {
        let entry = self.cache.entry(Parts {
            key: self.key.clone(),
            value,
            created: self.construction.began(),
            serial: self.serial,
            resource: DisposableResource::new(),
        });
        let pin = InUse::first(Arc::clone(&entry));
        entry.register();
        if self.cache.finish(&entry) {
            entry.value.on_committed();
        } else {
            entry.discard();
        }
        pin
    }

    fn error(&self, trouble: Trouble) -> RequireError {
        let cache = Arc::clone(&self.cache.name);
        let key = format!("{:?}", self.key).into();
        match trouble {
            Trouble::Failed(source) => RequireError::Failed {
                cache,
                key,
                source: source.into(),
            },
            Trouble::Panicked(message) => RequireError::Panicked {
                cache,
                key,
                message: message.into(),
            },
            Trouble::RuntimeShutdown => RequireError::RuntimeShutdown { cache, key },
        }
    }
}

impl<K: CacheKey, R: Resource> Drop for Site<K, R> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.settle(Err(self.error(Trouble::RuntimeShutdown)));
        }
    }
}

impl<K: CacheKey, R: Resource> Waiter<K, R> {
    /// Waits for the end, and tells `listener` each step that it is quick enough to see, also the last.
    ///
    /// `None` if the construction was never run.
    pub(crate) async fn wait(
        self,
        mut listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Option<Outcome<K, R>> {
        let Self {
            mut outcome,
            mut progress,
            ..
        } = self;
        let outcome = loop {
            tokio::select! {
                biased;
                ended = outcome.wait_for(Option::is_some) => {
                    break ended.ok().and_then(|outcome| outcome.clone());
                }
                Ok(()) = progress.changed() => {
                    let step = progress.borrow().clone();
                    listener(&step);
                }
            }
        };
        if let Some(step) = unseen(&mut progress) {
            listener(&step);
        }
        outcome
    }
}

/// The newest step, if it came after the last one that was told.
fn unseen(progress: &mut watch::Receiver<ConstructionProgress>) -> Option<ConstructionProgress> {
    let newest = progress.borrow_and_update();
    newest.has_changed().then(|| newest.clone())
}

enum Trouble {
    Failed(BoxError),
    Panicked(String),
    RuntimeShutdown,
}

/// Runs a future and turns a panic into an error.
async fn caught<T>(future: impl Future<Output = Result<T, BoxError>>) -> Result<T, Trouble> {
    let mut future = pin!(future);
    let caught = std::future::poll_fn(|cx| {
        // After a panic the future is dropped and not looked at again.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(message(&*panic))),
        }
    });
    caught
        .await
        .map_err(Trouble::Panicked)?
        .map_err(Trouble::Failed)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it said nothing").to_owned()
}
