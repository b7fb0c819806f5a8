//! Shared and exclusive caches of disposable resources, built once however many ask.
//!
//! | you have | you use |
//! | --- | --- |
//! | something that many read, such as a download | a [`Cache`] with [`Sharing::Shared`] |
//! | something that one user changes, such as a checkout | a [`Cache`] with [`Sharing::Exclusive`], and [`Handle::commit`] |
//! | a constructor that only the one who asks knows | [`Cache::require_with_constructor`] |
//! | a reason to forget something | [`Cache::purge`], [`Handle::poison`] |
//! | a key that is a piece of JSON | a [`JsonKey`] |
//! | folders that the next process should find again | a [`FolderCache`] |
//!
//! A [`Handle`] pins a resource and gives it back when it is dropped. What is idle is freed by the
//! collector of `runtime-gc` when room is needed.
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
//! let make = |key: String, _: ConstructionContext| async move { Ok::<_, std::io::Error>(Text(key.to_uppercase())) };
//! let cache = Cache::new("texts", Sharing::Shared, make, ResourceTracker::detached());
//!
//! let first = cache.require(&"a".to_owned()).await?;
//! let again = cache.require(&"a".to_owned()).await?; // Miss once.
//! assert_eq!((first.0.as_str(), cache.len()), ("A", 1));
//! # drop(again);
//! # Ok(())
//! # }
//! ```
//!
//! # Limitations
//!
//! What a [`Cache`] holds is forgotten when the process ends, unless its resources keep records of
//! themselves and are [adopted](Cache::adopt) by the next. A [`FolderCache`] does that.

mod build;
mod cache;
mod construction;
mod entry;
mod error;
mod folders;
mod handle;
mod inner;
mod json;
mod resource;
mod sys;

#[cfg(all(test, runtime_loom))]
mod models;

pub use build::{ConstructionContext, ConstructionProgress, Constructor};
pub use cache::{Cache, CachedEntry, Sharing, Uncommitted};
pub use error::RequireError;
pub use folders::{
    Begun, CachedFolder, CommitError, FolderCache, FolderCacheBuilder, FolderConstruction,
    FolderHandle, FolderKey, FolderWaiter, NewFolder, OpenCacheError, SweepReport,
};
pub use handle::{Handle, Lookup};
pub use inner::CacheKey;
pub use json::JsonKey;
pub use resource::Resource;
