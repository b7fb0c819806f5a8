//! Shared and exclusive caches of disposable resources, with one construction for concurrent requests.
//!
//! | use case | type |
//! | --- | --- |
//! | resources with many concurrent readers, such as downloads | [`Cache`] with [`Sharing::Shared`] |
//! | resources with one user who modifies them, such as checkouts | [`Cache`] with [`Sharing::Exclusive`], and [`Handle::commit`] |
//! | folders that persist across restarts | [`FolderCache`] |
//! | a constructor that depends on the request | [`Cache::require_with_constructor`] |
//! | removal of outdated or broken resources | [`Cache::purge`], [`Handle::poison`] |
//! | a JSON value as key | [`JsonKey`] |
//!
//! A [`Handle`] keeps a resource in use and releases it on drop. The collector of `runtime-gc` evicts idle
//! resources when space is needed.
//!
//! # Example
//!
//! ```
//! use async_trait::async_trait;
//! use runtime_caching::{ConstructionContext, Cache, Resource, Sharing};
//! use runtime_gc::{DisposeError, Footprint, ResourceTracker, Size};
//!
//! #[derive(Debug)]
//! struct Text(String);
//!
//! #[async_trait]
//! impl Resource for Text {
//!     fn footprint(&self) -> Footprint {
//!         Footprint::memory(Size::Known(self.0.len() as u64))
//!     }
//!
//!     async fn dispose(&self) -> Result<(), DisposeError> {
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), runtime_caching::RequireError> {
//! let construct = |key: String, _: ConstructionContext| async move { Ok::<_, std::io::Error>(Text(key.to_uppercase())) };
//! let cache = Cache::new("texts", Sharing::Shared, construct, ResourceTracker::detached());
//!
//! let first = cache.require(&"a".to_owned()).await?;
//! let again = cache.require(&"a".to_owned()).await?; // Constructed once.
//! assert_eq!((first.0.as_str(), cache.len()), ("A", 1));
//! # drop(again);
//! # Ok(())
//! # }
//! ```
//!
//! # Limitations
//!
//! A [`Cache`] does not persist its resources. A resource can keep a record on disk, from which the next
//! process [adopts](Cache::adopt) it; a [`FolderCache`] does this for folders.

mod cache;
mod construction;
mod constructor;
mod entry;
mod error;
mod folders;
mod handle;
mod json_key;
mod key;
mod map;
mod resource;
mod sharing;
mod single_flight;
mod sys;

#[cfg(all(test, runtime_loom))]
mod models;

pub use cache::{Cache, CachedEntry};
pub use constructor::{ConstructionContext, ConstructionProgress, Constructor};
pub use error::RequireError;
pub use folders::{
    CachedFolder, CommitError, FolderCache, FolderCacheBuilder, FolderConstruction, FolderHandle,
    FolderKey, FolderLookup, FolderWaiter, NewFolder, OpenCacheError, SweepReport,
};
pub use handle::{Handle, LookupOutcome};
pub use json_key::JsonKey;
pub use key::CacheKey;
pub use resource::Resource;
pub use sharing::{Sharing, Uncommitted};
