//! The shared state of a construction, and its waiters.

use std::sync::Arc;
use std::time::SystemTime;

use runtime_gc::InUse;

use crate::constructor::{ConstructionContext, ConstructionProgress};
use crate::entry::Entry;
use crate::error::RequireError;
use crate::handle::Lookup;
use crate::key::CacheKey;
use crate::resource::Resource;
use crate::sys::watch;

/// The result that all waiters get. The guard keeps the resource in use until each waiter has its own.
pub(crate) type ConstructionResult<K, R> = Result<InUse<Entry<K, R>>, RequireError>;

/// A construction in progress. One pointer, so that the slots of finished entries stay small.
pub(crate) struct Construction<K: CacheKey, R: Resource>(Arc<ConstructionState<K, R>>);

struct ConstructionState<K: CacheKey, R: Resource> {
    context: ConstructionContext,
    /// Sends the result, and counts the waiters by its receivers.
    result: watch::Sender<Option<ConstructionResult<K, R>>>,
}

/// A waiter for a construction, which is cancelled when all waiters are dropped.
pub(crate) struct Waiter<K: CacheKey, R: Resource> {
    result: watch::Receiver<Option<ConstructionResult<K, R>>>,
    progress: watch::Receiver<ConstructionProgress>,
    pub(crate) lookup: Lookup,
}

impl<K: CacheKey, R: Resource> Construction<K, R> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(ConstructionState {
            context: ConstructionContext::new(),
            result: watch::Sender::new(None),
        }))
    }

    pub(crate) fn context(&self) -> &ConstructionContext {
        &self.0.context
    }

    pub(crate) fn began(&self) -> SystemTime {
        self.0.context.began()
    }

    /// Adds a waiter.
    pub(crate) fn join(&self, lookup: Lookup) -> Waiter<K, R> {
        Waiter {
            lookup,
            result: self.0.result.subscribe(),
            progress: self.0.context.subscribe(),
        }
    }

    /// Sends the result to all waiters.
    pub(crate) fn complete(&self, result: ConstructionResult<K, R>) {
        self.0.result.send_replace(Some(result));
    }

    /// Waits until there are no waiters. More may join at any time.
    pub(crate) async fn abandoned(&self) {
        self.0.result.closed().await;
    }

    pub(crate) fn has_waiters(&self) -> bool {
        self.0.result.receiver_count() > 0
    }
}

impl<K: CacheKey, R: Resource> Clone for Construction<K, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: CacheKey, R: Resource> Waiter<K, R> {
    /// Waits for the result, and passes progress to `listener`, up to and including the last step.
    ///
    /// Returns `None` if the construction was never run.
    pub(crate) async fn wait(
        self,
        mut listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Option<ConstructionResult<K, R>> {
        let Self {
            mut result,
            mut progress,
            ..
        } = self;
        let result = loop {
            tokio::select! {
                // The result first: a constructor that reports steps without a pause must not delay it.
                biased;
                ended = result.wait_for(Option::is_some) => {
                    break ended.ok().and_then(|result| result.clone());
                }
                Ok(()) = progress.changed() => {
                    let step = progress.borrow().clone();
                    listener(&step);
                }
            }
        };
        // A step reported right before the result.
        let last = progress.borrow_and_update();
        if last.has_changed() {
            let step = last.clone();
            // Unlocks the channel before foreign code runs.
            drop(last);
            listener(&step);
        }
        result
    }
}
