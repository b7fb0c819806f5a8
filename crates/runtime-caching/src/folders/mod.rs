//! Caches of folders that stay on disk across restarts.

mod begin;
mod builder;
mod disk;
mod draft;
mod error;
mod folder;
mod handle;
mod leftover;
mod record;
mod removal;
mod root;
mod sweep;

pub use begin::{Begun, FolderConstruction, FolderWaiter};
pub use builder::FolderCacheBuilder;
pub use draft::NewFolder;
pub use error::{CommitError, OpenCacheError};
pub use handle::FolderHandle;
pub use sweep::SweepReport;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::inner::CacheKey;
use crate::{Cache, ConstructionProgress, RequireError};
use folder::{Folder, Policy};
use root::Root;
use sweep::Sweep;

/// What a key of a [`FolderCache`] has to be: a [`CacheKey`] that can be written down and read again.
pub trait FolderKey: CacheKey + Serialize + DeserializeOwned {}

impl<K: CacheKey + Serialize + DeserializeOwned> FolderKey for K {}

/// A cache of folders that the next process finds again. A clone is cheap and is the same cache.
///
/// It has a root on disk to itself, and holds a lock in it, until the last handle is dropped, the last folder
/// that was to go is removed, and the tasks that filled folders have ended, which on a runtime of several
/// threads may be a moment after their folders were handed out. Whenever the process ends, also by
/// `kill -9`, the next one to open the root finds what was fit to be used again, and removes the rest:
/// what was being made, what a user was changing, what was purged, what has no record.
///
/// Folders are removed by the collector, which gets what it needs through the tracker: out of the way
/// first, into a trash folder of the root, then for good.
///
/// Contents are written by whoever makes and changes a folder. What must survive a loss of power, not
/// only the end of the process, has to be synced by them.
///
/// ```
/// use runtime_caching::{NewFolder, FolderCache, Lookup};
/// use runtime_gc::ResourceTracker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// # let root = root.path().join("downloads");
/// let make = async |draft: NewFolder| std::fs::write(draft.path().join("content"), "precious");
///
/// let cache = FolderCache::<String>::builder(&root).open(ResourceTracker::detached()).await?;
/// drop(cache.require(&"a".to_owned(), make).await?);
/// drop(cache); // The process ends, and another starts.
///
/// let cache = FolderCache::<String>::builder(&root).open(ResourceTracker::detached()).await?;
/// let handle = cache.require(&"a".to_owned(), make).await?;
/// assert_eq!(handle.lookup(), Lookup::Hit);
/// assert_eq!(std::fs::read_to_string(handle.path().join("content"))?, "precious");
/// # Ok(())
/// # }
/// ```
pub struct FolderCache<K: FolderKey> {
    cache: Cache<K, Folder>,
    root: Arc<Root>,
    policy: Arc<Policy>,
    found: SweepReport,
}

/// A folder, as the filter of a purge sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct CachedFolder<'a, K> {
    /// Its key.
    pub key: &'a K,
    /// When its construction began.
    pub created: SystemTime,
    /// Where it is; `None` while it is being made.
    pub path: Option<&'a Path>,
}

impl<K: FolderKey> FolderCache<K> {
    /// A cache below `root`, which is made if needed, to be [opened](FolderCacheBuilder::open).
    pub fn builder(root: impl Into<PathBuf>) -> FolderCacheBuilder<K> {
        FolderCacheBuilder::new(root.into())
    }

    /// Gives the folder for a key. If there is none, `fill` gets an empty one to fill.
    ///
    /// In a shared cache, all who ask while it is being filled wait for the same. It is filled on a task
    /// of its own, which is dropped when all have left.
    ///
    /// # Errors
    ///
    /// A [`RequireError`] if `fill` fails or panics, or there can be no new folder. It is given to all who wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the construction to the others who wait. The last one to leave cancels
    /// it, and what was written by then is removed.
    pub async fn require<F, Fut, E>(
        &self,
        key: &K,
        fill: F,
    ) -> Result<FolderHandle<K>, RequireError>
    where
        F: Fn(NewFolder) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.require_with(key, fill, |_| {}).await
    }

    /// As [`require`](Self::require), and tells `listener` how far it is.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require).
    ///
    /// # Panics
    ///
    /// As [`require`](Self::require).
    ///
    /// # Cancel safety
    ///
    /// As [`require`](Self::require).
    pub async fn require_with<F, Fut, E>(
        &self,
        key: &K,
        fill: F,
        mut listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<FolderHandle<K>, RequireError>
    where
        F: Fn(NewFolder) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let fill = Arc::new(fill);
        loop {
            let waiter = match self.begin(key) {
                Begun::Hit(handle) => return Ok(handle),
                Begun::Joined(waiter) => waiter,
                Begun::New(construction) => {
                    let (fill, folder) = (Arc::clone(&fill), construction.folder().clone());
                    construction.spawn(async move { fill(folder).await })
                }
            };
            if let Some(handle) = waiter.wait(&mut listener).await? {
                return Ok(handle);
            }
        }
    }

    /// Forgets what the filter chooses, also for the next process: nobody gets it any more, and it is
    /// removed once it is idle.
    ///
    /// What is being made is offered as well. Those who wait for it still get it, nobody else does.
    /// Returns how many were chosen, once that is on disk.
    pub fn purge(&self, filter: impl Fn(&CachedFolder<'_, K>) -> bool) -> usize {
        let purged = self.cache.purge(|it| {
            filter(&CachedFolder {
                key: it.key,
                created: it.created,
                path: it.resource.map(Folder::path),
            })
        });
        if purged > 0
            && let Err(error) = disk::sync_folder(&self.root.index())
        {
            tracing::warn!(%error, "what was purged may come back if the power is lost now");
        }
        purged
    }

    /// Forgets what has this key and was created before then, which is what the purge-cache service asks for.
    pub fn purge_before(&self, key: &K, created_before: SystemTime) -> usize {
        self.purge(|it| it.key == key && it.created < created_before)
    }

    /// Forgets everything, as [`purge`](Self::purge) does.
    pub fn purge_all(&self) -> usize {
        self.purge(|_| true)
    }

    /// Looks for what somebody has put below the root or taken away, as is done when it is opened.
    ///
    /// Entries whose folder is gone are forgotten, and folders that nothing is known of are removed.
    ///
    /// # Errors
    ///
    /// What the operating system says if the root cannot be listed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Once begun it goes on; only its outcome is lost if the future is dropped.
    pub async fn sweep(&self) -> io::Result<SweepReport> {
        let (root, cache) = (Arc::clone(&self.root), self.cache.clone());
        let sweep = move || {
            let mut sweep = Sweep::new(&root);
            // A record that nobody is in charge of was put there by hand, and nobody can vouch for it.
            sweep.run(|_| None::<K>)?;
            let is_gone = |folder: &Folder| !crate::Resource::is_intact(folder);
            sweep.swept.missing += cache.purge(|it| it.resource.is_some_and(is_gone));
            Ok(sweep.swept)
        };
        tokio::task::spawn_blocking(sweep)
            .await
            .map_err(io::Error::other)?
    }

    /// What was found when the root was opened.
    #[must_use]
    pub fn initial_sweep(&self) -> &SweepReport {
        &self.found
    }

    /// The root, without links in its path.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// How many folders there are, with those in use and those being made.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
}

impl<K: FolderKey> Clone for FolderCache<K> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            root: Arc::clone(&self.root),
            policy: Arc::clone(&self.policy),
            found: self.found.clone(),
        }
    }
}

impl<K: FolderKey> fmt::Debug for FolderCache<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderCache")
            .field("root", &self.root.path())
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
