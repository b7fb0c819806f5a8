//! The handle of a cached folder.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::error::CommitError;
use super::folder::Folder;
use crate::handle::{Handle, LookupOutcome};
use crate::key::CacheKey;

/// A handle that keeps a folder in use and releases it on drop.
///
/// In an exclusive cache it is the only handle of its copy, and its holder may modify the folder.
/// [`commit`](Self::commit) then returns the folder for the next user. Without a commit, the folder is removed,
/// unless the cache has the setting [`Uncommitted::Keep`](crate::Uncommitted::Keep).
pub struct FolderHandle<K: CacheKey> {
    /// `None` once it is released.
    handle: Option<Handle<K, Folder>>,
}

impl<K: CacheKey> FolderHandle<K> {
    pub(super) fn new(handle: Handle<K, Folder>) -> Self {
        let handle = Some(handle);
        Self { handle }
    }

    /// Returns the path of the folder, which stays the same while it is cached.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.as_handle().path()
    }

    /// Returns the requested key.
    #[must_use]
    pub fn key(&self) -> &K {
        self.as_handle().key()
    }

    /// Returns the start of the construction, possibly in an earlier process.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.as_handle().created()
    }

    /// Returns the way the request got its folder.
    #[must_use]
    pub fn lookup(&self) -> LookupOutcome {
        self.as_handle().lookup()
    }

    /// Releases the folder for the next user, after its size was counted and recorded.
    ///
    /// A folder that was purged meanwhile is removed.
    ///
    /// # Errors
    ///
    /// A [`CommitError`] if the commit cannot be recorded. In this case, the folder is removed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A commit in progress continues if the future is dropped.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        let handle = self.take();
        let path = handle.path().to_owned();
        // The blocking task owns the handle, so the commit completes even if this future is dropped.
        let saved = tokio::task::spawn_blocking(move || save(handle)).await;
        // Fails if the runtime was shut down before the commit started.
        let saved = saved.unwrap_or_else(|error| Err(io::Error::other(error)));
        saved.map_err(|source| CommitError { path, source })
    }

    /// Releases the folder and removes it from the cache. The folder is removed from disk when all users have
    /// released it.
    pub fn poison(mut self) {
        self.take().poison();
    }

    fn as_handle(&self) -> &Handle<K, Folder> {
        self.handle.as_ref().expect("only taken at the end")
    }

    fn take(&mut self) -> Handle<K, Folder> {
        self.handle.take().expect("only taken at the end")
    }
}

fn save<K: CacheKey>(handle: Handle<K, Folder>) -> io::Result<()> {
    match handle.save() {
        Ok(()) => handle.commit(),
        Err(error) => {
            handle.poison();
            return Err(error);
        }
    }
    Ok(())
}

impl<K: CacheKey> Drop for FolderHandle<K> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            // While the folder is still in use, so that the collector cannot be removing it.
            handle.touch();
        }
    }
}

impl<K: CacheKey> fmt::Debug for FolderHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderHandle")
            .field("key", self.key())
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
