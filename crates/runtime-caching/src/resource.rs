//! What a cache holds.

use std::fmt;

use async_trait::async_trait;
use runtime_gc::{CostClass, DisposeError, Footprint};

/// Something that is worth keeping, and that can be freed.
///
/// The cache counts its users and gives it to the collector, so it needs no count of its own.
#[async_trait]
pub trait Resource: fmt::Debug + Send + Sync + 'static {
    /// What freeing it gives back. Read when it is made, and each time it is committed.
    fn footprint(&self) -> Footprint;

    /// What it costs to make it again.
    fn class(&self) -> CostClass {
        CostClass::default()
    }

    /// Whether what is behind it is still there. Asked on each hit, so it may do one quick system call.
    ///
    /// A resource whose file somebody has deleted is a miss: it is disposed of, and another is made.
    fn is_intact(&self) -> bool {
        true
    }

    /// Tells that it is in the cache from now on, so that others than those who waited for it may get it.
    ///
    /// For a resource that keeps a record of itself. It must be quick.
    fn on_committed(&self) {}

    /// Tells that nobody gets it any more: it was purged, poisoned or found broken. Those who use it still do.
    ///
    /// For a resource that keeps a record of itself. It must be quick, and may be called again.
    /// It is not called when the collector chooses an idle resource; then [`dispose`](Self::dispose) is all there is.
    fn on_discarded(&self) {}

    /// Whether it stays when the cache is dropped, to be [adopted](crate::Cache::adopt) by the next
    /// process. If not, it is freed then.
    fn is_persistent(&self) -> bool {
        false
    }

    /// Frees it. See [`Disposable::dispose`](runtime_gc::Disposable::dispose) for what is expected.
    ///
    /// Another one for the same key may be made meanwhile, so two must not share a place. What answers
    /// [`InUse`](DisposeError::InUse) stays in the cache, unless that has happened or it was purged meanwhile.
    ///
    /// # Errors
    ///
    /// As there. That what is behind it has gone is none.
    ///
    /// # Cancel safety
    ///
    /// Must be safe to drop and to call again.
    async fn dispose(&self) -> Result<(), DisposeError>;
}
