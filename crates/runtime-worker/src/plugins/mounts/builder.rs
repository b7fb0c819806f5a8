//! The builder of `Mounts`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use runtime_caching::{FolderCache, OpenCacheError, Sharing, Uncommitted};
use runtime_core::purge_cache::PurgeCache;
use runtime_fetcher::{Combine, FetchCache, Fetcher, HttpClient};
use runtime_gc::{CostClass, ResourceTracker};

use super::purge::Purger;
use super::{Mounts, MountsShared};
use crate::observer::{NoObserver, Observer};

/// Builds [`Mounts`] by opening its caches.
#[must_use = "call `open` to create the plugin"]
pub struct MountsBuilder {
    root: PathBuf,
    http: HttpClient,
    fetcher: Arc<dyn Fetcher>,
    observer: Arc<dyn Observer>,
    purger: Option<Purger>,
    scope_prefix: Option<String>,
    uncommitted: Uncommitted,
    verify_adopted: bool,
    #[cfg(feature = "unpack")]
    unpack_limits: runtime_fetcher::UnpackLimits,
}

impl MountsBuilder {
    pub(super) fn new(http: HttpClient, root: PathBuf) -> Self {
        Self {
            root,
            http,
            fetcher: Arc::new(Combine::standard()),
            observer: Arc::new(NoObserver),
            purger: None,
            scope_prefix: None,
            uncommitted: Uncommitted::default(),
            verify_adopted: false,
            #[cfg(feature = "unpack")]
            unpack_limits: runtime_fetcher::UnpackLimits::default(),
        }
    }

    /// Sets the fetcher that resolves `content`. Default: [all fetchers](Combine::standard).
    pub fn fetcher(mut self, fetcher: Arc<dyn Fetcher>) -> Self {
        self.fetcher = fetcher;
        self
    }

    /// Sets the observer that receives the progress of fetches.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Applies the purge requests of `service` for a worker pool before each task that mounts a named cache.
    ///
    /// An unreachable service does not fail the task, which logs the error.
    pub fn purges(
        mut self,
        service: Arc<dyn PurgeCache>,
        worker_pool_id: impl Into<String>,
    ) -> Self {
        self.purger = Some(Purger::new(service, worker_pool_id.into()));
        self
    }

    /// Requires the scope `<prefix><name>` for each named cache, as generic-worker does with the prefix
    /// `generic-worker:cache:`.
    ///
    /// By default, a task may use any cache, so everyone who can create tasks for the queue can write to all caches.
    pub fn cache_scopes(mut self, prefix: impl Into<String>) -> Self {
        self.scope_prefix = Some(prefix.into());
        self
    }

    /// Sets whether to keep a named cache after its task was stopped or its worker was killed. Default: the cache is
    /// removed, because it may be half-written.
    pub fn uncommitted(mut self, uncommitted: Uncommitted) -> Self {
        self.uncommitted = uncommitted;
        self
    }

    /// Sets whether inputs of earlier workers are compared with their fingerprints, see
    /// [`FetchCacheBuilder::verify_adopted`](runtime_fetcher::FetchCacheBuilder::verify_adopted).
    pub fn verify_adopted(mut self, verify: bool) -> Self {
        self.verify_adopted = verify;
        self
    }

    /// Sets the limits for unpacking archives.
    #[cfg(feature = "unpack")]
    pub fn unpack_limits(mut self, limits: runtime_fetcher::UnpackLimits) -> Self {
        self.unpack_limits = limits;
        self
    }

    /// Opens the caches: locks the root folder and adopts the caches and inputs of earlier workers.
    ///
    /// The collector of `tracker` removes idle and purged resources. Without a running collector nothing is ever removed.
    ///
    /// # Errors
    ///
    /// An [`OpenCacheError`] if another worker has locked the root, another version wrote it, or it is inaccessible.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The root may stay locked for a moment after the future is dropped.
    pub async fn open(self, tracker: ResourceTracker) -> Result<Mounts, OpenCacheError> {
        let caches = FolderCache::builder(self.root.join("caches"))
            .sharing(Sharing::Exclusive(self.uncommitted))
            // Evicted after inputs, which can be fetched again; a cache holds the work of earlier tasks.
            .class(CostClass::Expensive)
            .open(tracker.clone())
            .await?;
        let inputs =
            FetchCache::builder(self.root.join("inputs")).verify_adopted(self.verify_adopted);
        #[cfg(feature = "unpack")]
        let inputs = inputs.unpack_limits(self.unpack_limits);
        let shared = MountsShared {
            http: self.http,
            fetcher: self.fetcher,
            observer: self.observer,
            inputs: inputs.open(tracker).await?,
            caches,
            purger: self.purger,
            scope_prefix: self.scope_prefix,
            uncommitted: self.uncommitted,
        };
        Ok(Mounts {
            shared: Arc::new(shared),
        })
    }
}

impl fmt::Debug for MountsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountsBuilder")
            .field("root", &self.root)
            .field("purger", &self.purger)
            .finish_non_exhaustive()
    }
}
