//! Opening the caches of a worker.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use runtime_caching::{FolderCache, OpenCacheError, Sharing, Uncommitted};
use runtime_core::purge_cache::PurgeCache;
use runtime_fetcher::{Combine, FetchCache, Fetcher, HttpClient};
use runtime_gc::{CostClass, ResourceTracker};

use super::purge::Purger;
use super::{Mounts, Shared};
use crate::{NoObserver, Observer};

/// Settings of [`Mounts`] whose caches are not open yet.
#[must_use = "nothing happens before it is opened"]
pub struct MountsBuilder {
    root: PathBuf,
    http: HttpClient,
    fetcher: Arc<dyn Fetcher>,
    observer: Arc<dyn Observer>,
    purger: Option<Purger>,
    scope_prefix: Option<String>,
    uncommitted: Uncommitted,
    verifies: bool,
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
            verifies: false,
            #[cfg(feature = "unpack")]
            unpack_limits: runtime_fetcher::UnpackLimits::default(),
        }
    }

    /// Sets what understands `content`; by default [all fetchers](Combine::standard).
    pub fn fetcher(mut self, fetcher: Arc<dyn Fetcher>) -> Self {
        self.fetcher = fetcher;
        self
    }

    /// Tells `observer` how fetches go.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Asks `service` before each task that mounts a named cache which of those of the pool must go.
    ///
    /// A service that is away costs a task nothing but a line in its log.
    pub fn purges(
        mut self,
        service: Arc<dyn PurgeCache>,
        worker_pool_id: impl Into<String>,
    ) -> Self {
        self.purger = Some(Purger::new(service, worker_pool_id.into()));
        self
    }

    /// Demands the scope `<prefix><name>` for each named cache, as `generic-worker:cache:` is one for
    /// generic-worker. By default any task may use any cache, so whoever can create tasks for the queue can
    /// leave something in every one of them.
    pub fn cache_scopes(mut self, prefix: impl Into<String>) -> Self {
        self.scope_prefix = Some(prefix.into());
        self
    }

    /// Sets what becomes of a named cache whose task was stopped, or whose worker was killed. By default it is
    /// removed, since it may be half-written.
    pub fn uncommitted(mut self, uncommitted: Uncommitted) -> Self {
        self.uncommitted = uncommitted;
        self
    }

    /// Says whether inputs that an earlier worker left are compared with what they were, see
    /// [`FetchCacheBuilder::verify_adopted`](runtime_fetcher::FetchCacheBuilder::verify_adopted).
    pub fn verify_adopted(mut self, verify: bool) -> Self {
        self.verifies = verify;
        self
    }

    /// Says how much may come out of an archive.
    #[cfg(feature = "unpack")]
    pub fn unpack_limits(mut self, limits: runtime_fetcher::UnpackLimits) -> Self {
        self.unpack_limits = limits;
        self
    }

    /// Locks the root and adopts what earlier workers left in it. The collector behind `tracker` frees what is
    /// idle when room is needed, and removes what must go: without one that runs, nothing is ever removed.
    ///
    /// # Errors
    ///
    /// An [`OpenCacheError`] if another worker has the root, another version wrote it, or it cannot be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The root may stay locked for a moment after the future was dropped.
    pub async fn open(self, tracker: ResourceTracker) -> Result<Mounts, OpenCacheError> {
        let caches = FolderCache::builder(self.root.join("caches"))
            .sharing(Sharing::Exclusive(self.uncommitted))
            .class(CostClass::Expensive)
            .open(tracker.clone())
            .await?;
        let inputs = FetchCache::builder(self.root.join("inputs")).verify_adopted(self.verifies);
        #[cfg(feature = "unpack")]
        let inputs = inputs.unpack_limits(self.unpack_limits);
        let shared = Shared {
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
