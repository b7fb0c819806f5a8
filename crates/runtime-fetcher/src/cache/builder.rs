//! Opening a cache of inputs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use runtime_caching::{FolderCache, OpenCacheError};
use runtime_gc::{CostClass, ResourceTracker};

use super::input::{CONTENT, InputKey};
use super::{FetchCache, Shared};

/// Settings of a [`FetchCache`] that is not open yet.
#[derive(Debug)]
#[must_use = "nothing happens before it is opened"]
pub struct FetchCacheBuilder {
    root: PathBuf,
    name: String,
    verifies: bool,
    #[cfg(feature = "unpack")]
    limits: crate::UnpackLimits,
}

impl FetchCacheBuilder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            name: "inputs".to_owned(),
            verifies: false,
            #[cfg(feature = "unpack")]
            limits: crate::UnpackLimits::default(),
        }
    }

    /// Sets the name in reports, by default `inputs`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says whether what an earlier process left is compared with the hash that it had then, when it is
    /// first used; by default it is not. What has another one, or none, is fetched again.
    ///
    /// It costs to read each input once more after it is fetched, and once after each start.
    pub fn verify_adopted(mut self, verify: bool) -> Self {
        self.verifies = verify;
        self
    }

    /// Says how much may come out of an archive.
    #[cfg(feature = "unpack")]
    pub fn unpack_limits(mut self, limits: crate::UnpackLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Locks the root and adopts what earlier processes left in it. The collector behind `tracker` may
    /// remove inputs.
    ///
    /// # Errors
    ///
    /// An [`OpenCacheError`] if another process has the root or it cannot be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The root may stay locked for a moment after the future was dropped.
    pub async fn open(self, tracker: ResourceTracker) -> Result<FetchCache, OpenCacheError> {
        let folders = FolderCache::builder(self.root).name(self.name);
        let folders = folders.class(CostClass::Cheap).check(has_content);
        let folders = folders.open(tracker).await?;
        let unverified = match self.verifies {
            true => adopted(&folders),
            false => HashMap::new(),
        };
        let shared = Shared {
            #[cfg(feature = "unpack")]
            limits: self.limits,
            verifies: self.verifies,
            unverified: Mutex::new(unverified),
        };
        Ok(FetchCache {
            folders,
            shared: Arc::new(shared),
        })
    }
}

/// Somebody may have removed a file by hand.
fn has_content(folder: &Path) -> bool {
    folder.join(CONTENT).exists()
}

fn adopted<V: Default>(folders: &FolderCache<InputKey>) -> HashMap<PathBuf, V> {
    let paths = Mutex::new(HashMap::new());
    // A filter sees everything, and this one chooses nothing.
    folders.purge(|input| {
        if let (Some(path), Ok(mut paths)) = (input.path, paths.lock()) {
            paths.insert(path.to_owned(), V::default());
        }
        false
    });
    paths.into_inner().unwrap_or_default()
}
