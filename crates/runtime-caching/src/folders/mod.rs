//! Caches of folders that stay on disk across restarts.

mod builder;
mod cache;
mod construction;
mod disk;
mod error;
mod folder;
mod handle;
mod leftover;
mod new_folder;
mod record;
mod removal;
mod request;
mod root;
mod sweep;
mod unfinished;

pub use builder::FolderCacheBuilder;
pub use cache::{CachedFolder, FolderCache, FolderKey};
pub use construction::{FolderConstruction, FolderWaiter};
pub use error::{CommitError, OpenCacheError};
pub use handle::FolderHandle;
pub use new_folder::NewFolder;
pub use request::FolderLookup;
pub use sweep::SweepReport;
