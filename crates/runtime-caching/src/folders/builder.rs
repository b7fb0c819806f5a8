//! The builder of a folder cache, which opens its root.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_gc::{CostClass, ResourceTracker};

use super::cache::{FolderCache, FolderKey};
use super::error::OpenCacheError;
use super::folder::{Folder, FolderPolicy, RecordLocation};
use super::root::Root;
use super::sweep::{AdoptableFolder, Sweep};
use crate::map::CacheMap;
use crate::sharing::Sharing;

/// Builds a [`FolderCache`].
#[must_use = "does nothing until it is opened"]
pub struct FolderCacheBuilder<K> {
    root: PathBuf,
    name: Option<String>,
    policy: FolderPolicy,
    key: PhantomData<fn() -> K>,
}

impl<K: FolderKey> FolderCache<K> {
    /// Creates a builder for a cache below `root`, which is created by [`open`](FolderCacheBuilder::open).
    pub fn builder(root: impl Into<PathBuf>) -> FolderCacheBuilder<K> {
        FolderCacheBuilder {
            root: root.into(),
            name: None,
            policy: FolderPolicy {
                sharing: Sharing::Shared,
                class: CostClass::default(),
                check: None,
            },
            key: PhantomData,
        }
    }
}

impl<K: FolderKey> FolderCacheBuilder<K> {
    /// Sets the name for reports. Default: the name of the root folder.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the sharing of folders. Default: [`Sharing::Shared`].
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.policy.sharing = sharing;
        self
    }

    /// Sets the cost of constructing a folder again. Default: [`CostClass::Moderate`].
    pub fn class(mut self, class: CostClass) -> Self {
        self.policy.class = class;
        self
    }

    /// Sets a function that returns whether a folder is intact. It is called on each hit and should return
    /// quickly. Default: a folder is intact if it exists.
    ///
    /// A broken or missing folder is a miss: it is removed and constructed again.
    pub fn check(mut self, check: impl Fn(&Path) -> bool + Send + Sync + 'static) -> Self {
        self.policy.check = Some(Box::new(check));
        self
    }

    /// Locks the root and adopts the folders of earlier processes that are ready for use.
    ///
    /// The collector of `tracker` removes all others.
    ///
    /// # Errors
    ///
    /// An [`OpenCacheError`] if another process has the root open, if it has an unknown format, or if it cannot be
    /// read or written. A single broken folder is removed without an error.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The root may stay locked until the work in progress has ended on its own thread.
    pub async fn open(self, tracker: ResourceTracker) -> Result<FolderCache<K>, OpenCacheError> {
        let root = self.root.clone();
        // Reads each record, which may take seconds for a large cache.
        let opened = tokio::task::spawn_blocking(move || self.open_blocking(tracker)).await;
        opened.unwrap_or_else(|error| {
            let source = io::Error::other(error);
            Err(OpenCacheError::Io { root, source })
        })
    }

    fn open_blocking(self, tracker: ResourceTracker) -> Result<FolderCache<K>, OpenCacheError> {
        let name = self.name.unwrap_or_else(|| {
            let name = self.root.file_name().unwrap_or(self.root.as_os_str());
            name.to_string_lossy().into_owned()
        });
        let root = Root::open(&self.root, &name, tracker.clone())?;
        let mut sweep = Sweep::new(&root);
        // A record that is not a `K` counts as unreadable: another type of cache wrote it.
        let adoptable = sweep
            .run(|record| K::deserialize(&record.key).ok())
            .map_err(|source| OpenCacheError::Io {
                root: self.root,
                source,
            })?;
        let map = CacheMap::new(&name, self.policy.sharing, tracker);
        let policy = Arc::new(self.policy);
        let mut report = sweep.report;
        report.adopted = adopt(&map, &root, &policy, adoptable);
        tracing::info!(root = %root.path().display(), %report, "opened the folder cache");
        Ok(FolderCache {
            map,
            root,
            policy,
            initial_sweep: report,
        })
    }
}

/// Adds folders to the map, and returns their number.
///
/// The newest first: a shared cache rejects further copies of a key.
fn adopt<K: FolderKey>(
    map: &Arc<CacheMap<K, Folder>>,
    root: &Arc<Root>,
    policy: &Arc<FolderPolicy>,
    mut folders: Vec<AdoptableFolder<K>>,
) -> usize {
    folders.sort_by_key(|it| std::cmp::Reverse(it.record.created()));
    let adopted = folders.into_iter().filter_map(|it| {
        let (root, policy) = (Arc::clone(root), Arc::clone(policy));
        let created = it.record.created();
        let folder = Folder::new(root, it.id, policy, it.record, RecordLocation::Index);
        map.adopt(it.key, folder, created, it.idle).then_some(())
    });
    adopted.count()
}

impl<K> fmt::Debug for FolderCacheBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderCacheBuilder")
            .field("root", &self.root)
            .field("sharing", &self.policy.sharing)
            .field("class", &self.policy.class)
            .finish_non_exhaustive()
    }
}
