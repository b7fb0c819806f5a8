//! The cache of folders.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk;
use super::folder::{Folder, FolderPolicy};
use super::root::Root;
use super::sweep::{Sweep, SweepReport};
use crate::key::CacheKey;
use crate::map::CacheMap;
use crate::resource::Resource;

/// The bounds of a key of a [`FolderCache`]: a [`CacheKey`] that can be stored on disk.
pub trait FolderKey: CacheKey + Serialize + DeserializeOwned {}

impl<K: CacheKey + Serialize + DeserializeOwned> FolderKey for K {}

/// A cache of folders that persists across restarts. Clones share the cache.
///
/// The cache owns its root folder and holds a lock in it. The lock is released when the last handle is dropped,
/// the last discarded folder is removed, and all construction tasks have ended. A construction task may end
/// shortly after it returned its folder. Even after `kill -9`, the next process that opens the root adopts the
/// folders that are ready for use. It removes all others: those under construction, in exclusive use, purged, or
/// without a record.
///
/// The collector evicts folders through the tracker. A folder is first moved to a trash folder in the root, then
/// removed.
///
/// The cache does not sync new records and the contents of folders. A power loss, unlike a crash of the process, may
/// therefore lose the folders of the last seconds. Constructors and users have to sync contents that must survive a
/// power loss.
///
/// ```
/// use runtime_caching::{NewFolder, FolderCache, LookupOutcome};
/// use runtime_gc::ResourceTracker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// # let root = root.path().join("downloads");
/// let fill = async |folder: NewFolder| std::fs::write(folder.path().join("content"), "precious");
///
/// let cache = FolderCache::<String>::builder(&root).open(ResourceTracker::detached()).await?;
/// drop(cache.require(&"a".to_owned(), fill).await?);
/// drop(cache); // The process ends, and another starts.
///
/// let cache = FolderCache::<String>::builder(&root).open(ResourceTracker::detached()).await?;
/// let handle = cache.require(&"a".to_owned(), fill).await?;
/// assert_eq!(handle.lookup(), LookupOutcome::Hit);
/// assert_eq!(std::fs::read_to_string(handle.path().join("content"))?, "precious");
/// # Ok(())
/// # }
/// ```
pub struct FolderCache<K: FolderKey> {
    pub(super) map: Arc<CacheMap<K, Folder>>,
    pub(super) root: Arc<Root>,
    pub(super) policy: Arc<FolderPolicy>,
    pub(super) initial_sweep: SweepReport,
}

/// A folder of a cache, for the filter of a purge.
#[derive(Debug)]
#[non_exhaustive]
pub struct CachedFolder<'a, K> {
    /// The key.
    pub key: &'a K,
    /// The start of the construction.
    pub created: SystemTime,
    /// The path of the folder; `None` while it is under construction.
    pub path: Option<&'a Path>,
}

impl<K: FolderKey> FolderCache<K> {
    /// Removes the folders that the filter selects, for the next process as well.
    ///
    /// The filter is also called for folders under construction: the waiters of a removed one still receive the
    /// folder, but later requests do not. Each folder is removed once it is idle. Returns the number of selected
    /// folders after the removal of their records was synced to disk.
    pub fn purge(&self, filter: impl Fn(&CachedFolder<'_, K>) -> bool) -> usize {
        self.sync_purge(self.map.purge(|it| {
            filter(&CachedFolder {
                key: it.key(),
                created: it.created(),
                path: it.entry().map(|entry| entry.value.path()),
            })
        }))
    }

    /// Removes the folders of a key created before this time, as the purge-cache service requests.
    pub fn purge_before(&self, key: &K, created_before: SystemTime) -> usize {
        self.sync_purge(self.map.purge_before(key, created_before))
    }

    /// Removes all folders, as [`purge`](Self::purge) does.
    pub fn purge_all(&self) -> usize {
        self.purge(|_| true)
    }

    /// Syncs the removal of records to disk, and returns their number.
    fn sync_purge(&self, purged: usize) -> usize {
        // One sync for all records. Without it, a power loss could undo the purge.
        if purged > 0
            && let Err(error) = disk::sync_folder(&self.root.index())
        {
            tracing::warn!(%error, "purged folders may reappear after a power loss: sync failed");
        }
        purged
    }

    /// Compares the root on disk with the cache and repairs differences, as opening the cache does.
    ///
    /// Removes entries whose folder is missing, and folders without an entry.
    ///
    /// # Errors
    ///
    /// An I/O error if the root cannot be listed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A sweep in progress continues if the future is dropped.
    pub async fn sweep(&self) -> io::Result<SweepReport> {
        let (root, map) = (Arc::clone(&self.root), Arc::clone(&self.map));
        let sweep = move || {
            let mut sweep = Sweep::new(&root);
            // Adopts nothing: while the cache is open, a record without an entry was added by hand and counts as
            // unreadable.
            sweep.run(|_| None::<K>)?;
            sweep.report.missing += map.purge(|it| {
                let entry = it.entry();
                entry.is_some_and(|entry| !entry.value.is_intact())
            });
            Ok(sweep.report)
        };
        tokio::task::spawn_blocking(sweep)
            .await
            .map_err(io::Error::other)?
    }

    /// Returns the report of the sweep on opening.
    #[must_use]
    pub fn initial_sweep(&self) -> &SweepReport {
        &self.initial_sweep
    }

    /// Returns the canonical path of the root.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns the number of folders, including those in use and under construction.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: FolderKey> Clone for FolderCache<K> {
    fn clone(&self) -> Self {
        Self {
            map: Arc::clone(&self.map),
            root: Arc::clone(&self.root),
            policy: Arc::clone(&self.policy),
            initial_sweep: self.initial_sweep.clone(),
        }
    }
}

impl<K: FolderKey> fmt::Debug for FolderCache<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderCache")
            .field("root", &self.root.path())
            .field("sharing", &self.map.sharing)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
