//! The trait of cached resources.

use std::fmt;

use async_trait::async_trait;
use runtime_gc::{CostClass, DisposeError, Footprint};

/// A resource that a cache holds and can free.
///
/// The cache counts its users and registers it with the collector.
#[async_trait]
pub trait Resource: fmt::Debug + Send + Sync + 'static {
    /// Returns the space that the resource occupies. Read after construction and at each commit.
    fn footprint(&self) -> Footprint;

    /// Returns the cost of constructing the resource again.
    fn class(&self) -> CostClass {
        CostClass::default()
    }

    /// Returns whether the resource is still usable. Called on each hit; one quick system call is fine.
    ///
    /// A resource that is no longer usable, for example because its file was deleted, is a miss: it is
    /// disposed of and constructed again.
    fn is_intact(&self) -> bool {
        true
    }

    /// Called when the resource is added to the cache, where later requests find it.
    ///
    /// Intended for resources that keep a record on disk. Must return quickly.
    fn on_added(&self) {}

    /// Called when the resource is purged, poisoned or found broken, so that later requests do not find it.
    ///
    /// Intended for resources that keep a record on disk. Must return quickly, and may be called more than
    /// once. Not called when the collector evicts an idle resource: in this case, only
    /// [`dispose`](Self::dispose) is called.
    fn on_discarded(&self) {}

    /// Returns whether the resource is kept when the cache is dropped, so that the next process can
    /// [adopt](crate::Cache::adopt) it.
    fn is_persistent(&self) -> bool {
        false
    }

    /// Frees the resource, under the contract of [`Disposable::dispose`](runtime_gc::Disposable::dispose).
    ///
    /// Another resource for the same key may be constructed meanwhile, so two resources must not share a path.
    /// After [`InUseElsewhere`](DisposeError::InUseElsewhere) the resource stays in the cache, unless it was replaced or purged.
    ///
    /// # Errors
    ///
    /// Those of [`Disposable::dispose`](runtime_gc::Disposable::dispose). A resource that no longer exists counts
    /// as freed.
    ///
    /// # Cancel safety
    ///
    /// Must be safe to drop and to call again.
    async fn dispose(&self) -> Result<(), DisposeError>;
}
