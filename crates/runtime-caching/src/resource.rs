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

    /// Frees it. See [`Disposable::dispose`](runtime_gc::Disposable::dispose) for what is expected.
    ///
    /// Another one for the same key may be made meanwhile, so two must not share a place.
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
