//! Begins the use of a folder: a hit, a wait for another request, or a new folder to fill.

use std::fmt;
use std::sync::Arc;

use runtime_core::BoxError;

use super::cache::{FolderCache, FolderKey};
use super::folder::{Folder, FolderPolicy};
use super::handle::FolderHandle;
use super::lease::lease;
use super::new_folder::{NewFolder, UnfinishedFolder};
use super::record::Record;
use super::root::{OwnedId, Root};
use crate::construction::Waiter;
use crate::constructor::ConstructionProgress;
use crate::error::RequireError;
use crate::map::CacheMap;
use crate::single_flight::{ANY_SOURCE, ConstructionTask, MapLookup};
use crate::sys::spawn;

/// The result of [`FolderCache::begin`].
#[derive(Debug)]
pub enum FolderLookup<K: FolderKey> {
    /// The cache has the folder.
    Hit(FolderHandle<K>),
    /// Another request fills the folder.
    Joined(FolderWaiter<K>),
    /// The caller has to fill a new folder.
    New(FolderConstruction<K>),
}

/// A new folder that the caller has to fill with [`spawn`](Self::spawn).
///
/// Concurrent requests for its key wait for the folder. If this value is dropped, they receive an error.
#[must_use = "other requests wait for this folder"]
pub struct FolderConstruction<K: FolderKey> {
    task: ConstructionTask<K, Folder>,
    waiter: FolderWaiter<K>,
    root: Arc<Root>,
    policy: Arc<FolderPolicy>,
    id: OwnedId,
    folder: NewFolder,
}

/// A waiter for a folder under construction.
///
/// When all waiters of a construction are dropped, the construction is cancelled.
#[must_use = "dropping the last waiter cancels the construction"]
pub struct FolderWaiter<K: FolderKey> {
    map: Arc<CacheMap<K, Folder>>,
    waiter: Waiter<K, Folder>,
}

impl<K: FolderKey> FolderCache<K> {
    /// Returns the folder or the construction of a key, or begins a new folder for the caller to fill.
    ///
    /// In a shared cache there is one construction for a key at a time: the first caller gets [`FolderLookup::New`] and
    /// fills the folder, the others get [`FolderLookup::Joined`], and wait for the folder or the error. If the error
    /// depends on the caller, use [`begin_from`](Self::begin_from).
    ///
    /// In an exclusive cache that disposes of uncommitted folders, a hit blocks while its lease is synced to disk.
    /// [`require`](Self::require) syncs it on another thread.
    ///
    /// ```
    /// use runtime_caching::{FolderCache, FolderLookup};
    /// use runtime_gc::ResourceTracker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let root = tempfile::tempdir()?;
    /// let cache = FolderCache::<String>::builder(root.path()).open(ResourceTracker::detached()).await?;
    /// let handle = loop {
    ///     let waiter = match cache.begin(&"a".to_owned()) {
    ///         FolderLookup::Hit(handle) => break handle,
    ///         FolderLookup::Joined(waiter) => waiter,
    ///         FolderLookup::New(construction) => {
    ///             let content = construction.folder().path().join("content");
    ///             construction.spawn(async move { std::fs::write(content, "precious") })
    ///         }
    ///     };
    ///     if let Some(handle) = waiter.wait(|_| {}).await? {
    ///         break handle;
    ///     }
    /// };
    /// assert_eq!(std::fs::read_to_string(handle.path().join("content"))?, "precious");
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin(&self, key: &K) -> FolderLookup<K> {
        self.begin_from(key, ANY_SOURCE)
    }

    /// Returns the folder of a key or its construction from `source`, or begins a new folder for the caller to fill.
    ///
    /// Use it for keys that identify a content which several sources have, such as the mirrors of a file. Callers with
    /// different sources do not wait for each other and do not receive each other's errors. The first folder that is
    /// filled is added to the cache. If another source fills a folder later, only the callers that waited for it
    /// receive that folder.
    pub fn begin_from(&self, key: &K, source: &str) -> FolderLookup<K> {
        loop {
            match self.map.begin(key, source) {
                MapLookup::Hit(handle) => {
                    // Without a lease, the folder was discarded. Each pass removes one folder, so
                    // the loop ends.
                    if let Some(handle) = lease(handle) {
                        return FolderLookup::Hit(handle);
                    }
                }
                MapLookup::Joined(waiter) => {
                    return FolderLookup::Joined(FolderWaiter::new(&self.map, waiter));
                }
                MapLookup::New(task, waiter) => {
                    return FolderLookup::New(self.new_construction(task, waiter));
                }
            }
        }
    }

    pub(super) fn new_construction(
        &self,
        task: ConstructionTask<K, Folder>,
        waiter: Waiter<K, Folder>,
    ) -> FolderConstruction<K> {
        // Owned before any file exists, so that a concurrent sweep ignores the folder.
        let id = self.root.new_id();
        let folder = NewFolder::new(&self.root, &id, task.context().clone());
        FolderConstruction {
            task,
            waiter: FolderWaiter::new(&self.map, waiter),
            root: Arc::clone(&self.root),
            policy: Arc::clone(&self.policy),
            id,
            folder,
        }
    }
}

impl<K: FolderKey> FolderConstruction<K> {
    /// Returns the new folder. It exists on disk once `fill` is polled.
    #[must_use]
    pub fn folder(&self) -> &NewFolder {
        &self.folder
    }

    /// Spawns a task that creates the folder, runs `fill`, and adds the folder to the cache.
    ///
    /// The task belongs to all waiters: `fill` is dropped when the last waiter is dropped. If `fill` fails or
    /// panics, each waiter receives the error and the folder is removed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn spawn<E>(
        self,
        fill: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> FolderWaiter<K>
    where
        E: Into<BoxError>,
    {
        let Self {
            task,
            waiter,
            root,
            policy,
            id,
            folder,
        } = self;
        let (key, created) = (serde_json::to_value(task.key()), folder.created());
        spawn(task.run(async move {
            // A key that cannot be serialized fails the construction, so that all waiters get the
            // error.
            let record = Record::new(key?, created);
            // The first and the last step block on the disk. Between them, dropping the task removes the folder.
            let create = move || UnfinishedFolder::create(root, id, record);
            let unfinished = tokio::task::spawn_blocking(create).await??;
            fill.await.map_err(Into::into)?;
            let finished = tokio::task::spawn_blocking(move || unfinished.finish(policy)).await?;
            Ok(finished?)
        }));
        waiter
    }
}

impl<K: FolderKey> FolderWaiter<K> {
    pub(super) fn new(map: &Arc<CacheMap<K, Folder>>, waiter: Waiter<K, Folder>) -> Self {
        let map = Arc::clone(map);
        Self { map, waiter }
    }

    /// Waits until the folder is filled, and passes progress to `listener`.
    ///
    /// The listener is called while this future is polled. A slow listener skips steps and delays nothing else.
    /// Returns `None` if the folder is not usable, for example because it was deleted in the meantime: call
    /// [`FolderCache::begin`] again.
    ///
    /// # Errors
    ///
    /// A [`RequireError`] if filling fails or panics, or if the new folder cannot be created.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the construction to the other waiters. Dropping the last one cancels it.
    pub async fn wait(
        self,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Option<FolderHandle<K>>, RequireError> {
        let handle = self.map.wait(self.waiter, listener).await?;
        // No await between the lease and the return: a caller that is dropped has not leased the folder.
        Ok(handle.and_then(lease))
    }
}

impl<K: FolderKey> fmt::Debug for FolderConstruction<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderConstruction")
            .field("key", self.task.key())
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl<K: FolderKey> fmt::Debug for FolderWaiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderWaiter").finish_non_exhaustive()
    }
}
