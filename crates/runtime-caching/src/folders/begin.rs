//! Construction of a folder by the caller that asked for it first.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::draft::{NewFolder, Unfinished};
use super::folder::{Folder, Policy};
use super::record::Record;
use super::root::{Owned, Root};
use super::{FolderCache, FolderHandle, FolderKey};
use crate::cache::{self, Cache};
use crate::construction::{Site, Waiter};
use crate::sys::spawn;
use crate::{ConstructionProgress, Handle, RequireError};

/// How a request for a folder begins, see [`FolderCache::begin`].
#[derive(Debug)]
pub enum Begun<K: FolderKey> {
    /// The folder is in the cache.
    Hit(FolderHandle<K>),
    /// Another caller fills the folder.
    Joined(FolderWaiter<K>),
    /// The caller has to fill a new folder.
    New(FolderConstruction<K>),
}

/// A new folder that the caller has to fill with [`spawn`](Self::spawn).
///
/// All who ask for its key meanwhile wait for it. Dropping it fails the construction for them.
#[must_use = "other callers wait for this folder"]
pub struct FolderConstruction<K: FolderKey> {
    site: Site<K, Folder>,
    waiter: FolderWaiter<K>,
    root: Arc<Root>,
    policy: Arc<Policy>,
    owned: Owned,
    folder: NewFolder,
}

/// Waits for a folder that is being filled.
///
/// When all waiters of a construction are dropped, the construction is cancelled.
#[must_use = "dropping the last waiter cancels the construction"]
pub struct FolderWaiter<K: FolderKey> {
    cache: Cache<K, Folder>,
    waiter: Waiter<K, Folder>,
}

impl<K: FolderKey> FolderCache<K> {
    /// Looks up the folder of a key; if there is none, begins a new one.
    ///
    /// In a shared cache there is one construction for a key at a time: the first caller gets
    /// [`Begun::New`] and fills the folder, the others get [`Begun::Joined`] and wait.
    ///
    /// ```
    /// use runtime_caching::{Begun, FolderCache};
    /// use runtime_gc::ResourceTracker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let root = tempfile::tempdir()?;
    /// let cache = FolderCache::<String>::builder(root.path()).open(ResourceTracker::detached()).await?;
    /// let handle = loop {
    ///     let waiter = match cache.begin(&"a".to_owned()) {
    ///         Begun::Hit(handle) => break handle,
    ///         Begun::Joined(waiter) => waiter,
    ///         Begun::New(construction) => {
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
    pub fn begin(&self, key: &K) -> Begun<K> {
        loop {
            match self.cache.begin(key) {
                cache::Begun::Hit(handle) => {
                    if let Some(handle) = lend(handle) {
                        return Begun::Hit(handle);
                    }
                }
                cache::Begun::Joined(waiter) => return Begun::Joined(self.waiter(waiter)),
                cache::Begun::New(site, waiter) => {
                    let waiter = self.waiter(waiter);
                    return Begun::New(self.construction(site, waiter));
                }
            }
        }
    }

    fn waiter(&self, waiter: Waiter<K, Folder>) -> FolderWaiter<K> {
        let cache = self.cache.clone();
        FolderWaiter { cache, waiter }
    }

    fn construction(
        &self,
        site: Site<K, Folder>,
        waiter: FolderWaiter<K>,
    ) -> FolderConstruction<K> {
        let owned = self.root.own_new();
        let folder = NewFolder::new(&self.root, &owned, site.context().clone());
        FolderConstruction {
            site,
            waiter,
            root: Arc::clone(&self.root),
            policy: Arc::clone(&self.policy),
            owned,
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

    /// Spawns a task that creates the folder, runs `fill`, and commits the folder to the cache.
    ///
    /// The task belongs to all waiters, not to the caller: `fill` is dropped when the last of them leaves. An
    /// error or a panic of `fill` is reported to each of them, and the folder is removed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn spawn<E>(
        self,
        fill: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> FolderWaiter<K>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self {
            site,
            waiter,
            root,
            policy,
            owned,
            folder,
        } = self;
        let (key, began) = (serde_json::to_value(site.key()), folder.began());
        spawn(site.run(async move {
            let record = Record::new(key?, began);
            // Both block on the disk; in between, the folder is removed if the task is dropped.
            let begin = move || Unfinished::begin(root, owned, record);
            let unfinished = tokio::task::spawn_blocking(begin).await??;
            fill.await.map_err(Into::into)?;
            let finished = tokio::task::spawn_blocking(move || unfinished.finish(policy)).await?;
            Ok(finished?)
        }));
        waiter
    }
}

impl<K: FolderKey> FolderWaiter<K> {
    /// Waits until the folder is filled, and passes the progress of the construction to `listener`.
    ///
    /// The listener is called while this future is polled. A slow one misses intermediate steps and delays
    /// nothing else. Returns `None` if the folder cannot be used after all, as when it was removed between its
    /// commit and now: begin again.
    ///
    /// # Errors
    ///
    /// A [`RequireError`] if filling fails or panics, or the disk refuses a new folder.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the construction to the other waiters. The last one to leave cancels it.
    pub async fn wait(
        self,
        listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<Option<FolderHandle<K>>, RequireError> {
        let handle = self.cache.wait(self.waiter, listener).await?;
        // Nothing may await between this and the caller: a caller that is dropped has changed nothing yet.
        Ok(handle.and_then(lend))
    }
}

/// Leases the folder to a user that may change it; `None` if that cannot be written down.
fn lend<K: FolderKey>(handle: Handle<K, Folder>) -> Option<FolderHandle<K>> {
    match handle.lend() {
        Ok(()) => Some(FolderHandle::new(handle)),
        Err(error) => {
            let path = handle.path().display();
            tracing::warn!(%path, %error, "cannot be leased; taking another");
            handle.poison();
            None
        }
    }
}

impl<K: FolderKey> fmt::Debug for FolderConstruction<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderConstruction")
            .field("key", self.site.key())
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl<K: FolderKey> fmt::Debug for FolderWaiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderWaiter").finish_non_exhaustive()
    }
}
