//! The shared state of a construction, and its waiters.

use runtime_gc::InUse;

use crate::constructor::{ConstructionContext, ConstructionProgress};
use crate::entry::Entry;
use crate::error::RequireError;
use crate::handle::LookupOutcome;
use crate::key::CacheKey;
use crate::resource::Resource;
use crate::sys::watch;

/// The result that all waiters receive. Its guard keeps the resource in use until each waiter has its own
/// guard.
pub(crate) type ConstructionResult<K, R> = Result<InUse<Entry<K, R>>, RequireError>;

/// A construction in progress.
pub(crate) struct Construction<K: CacheKey, R: Resource> {
    pub(crate) key: K,
    /// Identifies the slot of the map.
    pub(crate) serial: u64,
    /// The source of the resource, which all waiters share.
    pub(crate) source: Box<str>,
    pub(crate) context: ConstructionContext,
    /// Sends the result, and counts the waiters by its receivers.
    pub(crate) result: watch::Sender<Option<ConstructionResult<K, R>>>,
}

/// A waiter for a construction, which is cancelled when all waiters are dropped.
pub(crate) struct Waiter<K: CacheKey, R: Resource> {
    result: watch::Receiver<Option<ConstructionResult<K, R>>>,
    progress: watch::Receiver<ConstructionProgress>,
    pub(crate) lookup: LookupOutcome,
}

impl<K: CacheKey, R: Resource> Construction<K, R> {
    pub(crate) fn new(key: K, serial: u64, source: &str) -> Self {
        Self {
            key,
            serial,
            source: source.into(),
            context: ConstructionContext::new(),
            result: watch::Sender::new(None),
        }
    }

    /// Adds a waiter.
    pub(crate) fn join(&self, lookup: LookupOutcome) -> Waiter<K, R> {
        Waiter {
            lookup,
            result: self.result.subscribe(),
            progress: self.context.subscribe(),
        }
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
