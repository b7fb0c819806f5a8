//! Configuring and opening a [`FetchCache`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_caching::{FolderCache, OpenCacheError};
use runtime_gc::{CostClass, ResourceTracker};

use super::adopted_inputs::AdoptedInputs;
use super::fetch_cache::FetchCache;
use super::input_fetch::FetchOptions;
use super::layout::CONTENT;

/// The settings of a [`FetchCache`] that is not open yet.
#[derive(Debug)]
#[must_use = "a cache is created by `open`"]
pub struct FetchCacheBuilder {
    root: PathBuf,
    name: String,
    options: FetchOptions,
}

impl FetchCache {
    /// Returns a builder for a cache below `root`, which is created if necessary.
    pub fn builder(root: impl Into<PathBuf>) -> FetchCacheBuilder {
        FetchCacheBuilder {
            root: root.into(),
            name: "inputs".to_owned(),
            options: FetchOptions::default(),
        }
    }
}

impl FetchCacheBuilder {
    /// Sets the name in reports; `inputs` by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets whether inputs of an earlier process are compared with their recorded fingerprint on first use; off by
    /// default. An input that differs, or has no fingerprint, is fetched again.
    ///
    /// Each input is read once more after its fetch, and once after each start.
    pub fn verify_adopted(mut self, verify: bool) -> Self {
        self.options.fingerprint = verify;
        self
    }

    /// Sets the limits for unpacking archives.
    #[cfg(feature = "unpack")]
    pub fn unpack_limits(mut self, limits: crate::unpack::UnpackLimits) -> Self {
        self.options.unpack_limits = limits;
        self
    }

    /// Locks the root and adopts the inputs of earlier processes. The collector behind `tracker` may evict them.
    ///
    /// # Errors
    ///
    /// An [`OpenCacheError`] if another process has locked the root or it is unusable.
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
        // Cheap, because an input can be fetched again: the collector evicts inputs before other caches.
        let folders = folders.class(CostClass::Cheap).check(has_content);
        let folders = folders.open(tracker).await?;
        let adopted = if self.options.fingerprint {
            AdoptedInputs::unverified(&folders)
        } else {
            AdoptedInputs::default()
        };
        Ok(FetchCache {
            folders,
            options: Arc::new(self.options),
            adopted: Arc::new(adopted),
        })
    }
}

/// Detects an input that was removed by hand.
fn has_content(folder: &Path) -> bool {
    folder.join(CONTENT).exists()
}
