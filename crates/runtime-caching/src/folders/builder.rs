//! Opening a root.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_gc::{CostClass, ResourceTracker};

use super::folder::{Folder, Place, Policy};
use super::root::Root;
use super::sweep::{Found, Sweep};
use super::{FolderCache, FolderKey, OpenCacheError};
use crate::{Cache, ConstructionContext, RequireError, Sharing};

/// Settings of a [`FolderCache`] that is not open yet.
#[must_use = "nothing happens before it is opened"]
pub struct FolderCacheBuilder<K> {
    root: PathBuf,
    name: Option<String>,
    policy: Policy,
    key: PhantomData<fn() -> K>,
}

impl<K: FolderKey> FolderCacheBuilder<K> {
    pub(super) fn new(root: PathBuf) -> Self {
        let policy = Policy {
            sharing: Sharing::Shared,
            class: CostClass::default(),
            check: None,
        };
        Self {
            root,
            name: None,
            policy,
            key: PhantomData,
        }
    }

    /// Sets the name in reports. By default it is that of the root's folder.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets who may use a folder at a time. By default it is shared.
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.policy.sharing = sharing;
        self
    }

    /// Sets what it costs to make a folder again.
    pub fn class(mut self, class: CostClass) -> Self {
        self.policy.class = class;
        self
    }

    /// Sets what tells whether a folder is as it should be. It is asked on each hit and should be quick.
    ///
    /// A folder that is not is a miss: it is removed, and another is made. So is one that is not there.
    pub fn check(mut self, check: impl Fn(&Path) -> bool + Send + Sync + 'static) -> Self {
        self.policy.check = Some(Box::new(check));
        self
    }

    /// Locks the root and adopts what earlier processes left in it that is fit to be used.
    ///
    /// The rest is given to the collector behind `tracker` to be removed.
    ///
    /// # Errors
    ///
    /// An [`OpenCacheError`] if another process has the root, another version wrote it, or it cannot be used.
    /// What is wrong with a single folder is no error: the folder is removed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The root may stay locked for a moment after the future was dropped.
    pub async fn open(self, tracker: ResourceTracker) -> Result<FolderCache<K>, OpenCacheError> {
        let root = self.root.clone();
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
        let found = sweep
            .run(|record| K::deserialize(&record.key).ok())
            .map_err(|source| OpenCacheError::Io {
                root: self.root,
                source,
            })?;
        let cache = Cache::new(&name, self.policy.sharing, refuse, tracker);
        let policy = Arc::new(self.policy);
        let mut swept = sweep.swept;
        swept.adopted = adopt(&cache, &root, &policy, found);
        tracing::info!(root = %root.path().display(), %swept, "opened");
        Ok(FolderCache {
            cache,
            root,
            policy,
            found: swept,
        })
    }
}

/// Puts what was found into the cache, of several copies in a shared cache the newest.
fn adopt<K: FolderKey>(
    cache: &Cache<K, Folder>,
    root: &Arc<Root>,
    policy: &Arc<Policy>,
    mut found: Vec<Found<K>>,
) -> usize {
    found.sort_by_key(|it| std::cmp::Reverse(it.record.created()));
    let adopted = found.into_iter().filter_map(|it| {
        let (root, policy) = (Arc::clone(root), Arc::clone(policy));
        let created = it.record.created();
        let folder = Folder::new(root, it.owned, policy, (it.record, Place::Index));
        cache.adopt(it.key, folder, created, it.idle).then_some(())
    });
    adopted.count()
}

/// The constructor of the cache inside, which is never used: [`FolderCache::begin`] leaves construction to its caller.
async fn refuse<K>(_: K, _: ConstructionContext) -> Result<Folder, RequireError> {
    unreachable!("folders are filled by the caller of `begin`")
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
