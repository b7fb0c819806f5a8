//! What a user of a folder holds.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::CommitError;
use super::folder::Folder;
use crate::inner::CacheKey;
use crate::{Handle, Lookup};

/// A folder that stays there for as long as this does. Dropping it gives the folder back.
///
/// From an exclusive cache it is the only user of its copy, which may change the folder.
/// [`commit`](Self::commit) says that it is fit for the next one. Without, it is removed, unless the
/// cache was told to [keep](crate::Uncommitted::Keep) it.
pub struct FolderHandle<K: CacheKey> {
    /// Taken when it is given back.
    handle: Option<Handle<K, Folder>>,
}

impl<K: CacheKey> FolderHandle<K> {
    pub(super) fn new(handle: Handle<K, Folder>) -> Self {
        let handle = Some(handle);
        Self { handle }
    }

    /// The folder. It is the same for as long as the folder is cached.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner().path()
    }

    /// The key that it was required by.
    #[must_use]
    pub fn key(&self) -> &K {
        self.inner().key()
    }

    /// When its construction began, also if that was in an earlier process.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.inner().created()
    }

    /// Whether it was there or had to be made.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        self.inner().lookup()
    }

    /// Gives it back for others to use, after what it takes was counted and written down.
    ///
    /// If it was purged meanwhile, it is removed all the same.
    ///
    /// # Errors
    ///
    /// A [`CommitError`] if that cannot be written down. Then the folder is removed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Once begun it goes on; only its outcome is lost if the future is dropped.
    pub async fn commit(mut self) -> Result<(), CommitError> {
        let handle = self.take();
        let path = handle.path().to_owned();
        let stored = tokio::task::spawn_blocking(move || store(handle)).await;
        // The runtime can have ended before it was begun.
        let stored = stored.unwrap_or_else(|error| Err(io::Error::other(error)));
        stored.map_err(|source| CommitError { path, source })
    }

    /// Gives it back and says that nobody must get it again: it is removed once all users have left.
    pub fn poison(mut self) {
        self.take().poison();
    }

    fn inner(&self) -> &Handle<K, Folder> {
        self.handle.as_ref().expect("it is only taken at the end")
    }

    fn take(&mut self) -> Handle<K, Folder> {
        self.handle.take().expect("it is only taken at the end")
    }
}

fn store<K: CacheKey>(handle: Handle<K, Folder>) -> io::Result<()> {
    match handle.store() {
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
