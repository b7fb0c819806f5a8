//! Caches of folders that stay on disk across restarts.

mod begin;
mod builder;
mod cache;
mod disk;
mod error;
mod folder;
mod handle;
mod lease;
mod leftover;
mod new_folder;
mod record;
mod removal;
mod require;
mod root;
mod sweep;

pub use begin::{FolderConstruction, FolderLookup, FolderWaiter};
pub use builder::FolderCacheBuilder;
pub use cache::{CachedFolder, FolderCache, FolderKey};
pub use error::{CommitError, OpenCacheError};
pub use handle::FolderHandle;
pub use new_folder::NewFolder;
pub use sweep::SweepReport;
