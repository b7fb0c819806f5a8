//! Caches that somebody wants gone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use runtime_caching::FolderCache;
use runtime_core::purge_cache::PurgeCache;
use runtime_core::{ApiError, Timestamp};

/// By how much a query overlaps the one before: the service answers from a memory of some seconds, and
/// clocks differ.
const OVERLAP: Duration = Duration::from_secs(5 * 60);

/// Asks the purge-cache service and drops what must go.
#[derive(Debug)]
pub(super) struct Purger {
    service: Arc<dyn PurgeCache>,
    worker_pool_id: String,
    /// When the last query that succeeded was begun. The first one asks for all requests, which are for
    /// what an earlier process left.
    asked: Mutex<Option<Timestamp>>,
}

impl Purger {
    pub(super) fn new(service: Arc<dyn PurgeCache>, worker_pool_id: String) -> Self {
        Self {
            service,
            worker_pool_id,
            asked: Mutex::default(),
        }
    }

    /// Drops what must go, also what is being made or in use: that goes when its user is done.
    ///
    /// A query that fails moves nothing forward, so that no request is ever lost.
    pub(super) async fn purge(
        &self,
        caches: &FolderCache<String>,
        now: Timestamp,
    ) -> Result<usize, ApiError> {
        let since = *self.asked.lock();
        let since = since.map(|since| since.checked_sub(OVERLAP).unwrap_or(since));
        let service = &self.service;
        let requests = service.purge_requests(&self.worker_pool_id, since).await?;
        let purged = requests
            .iter()
            .map(|request| caches.purge_before(&request.cache_name, system_time(request.before)));
        let purged = purged.sum();
        let mut asked = self.asked.lock();
        *asked = (*asked).max(Some(now));
        Ok(purged)
    }
}

/// Nobody wants gone what was made before 1970.
fn system_time(time: Timestamp) -> SystemTime {
    let since_epoch = Duration::try_from(time.duration_since(Timestamp::UNIX_EPOCH));
    SystemTime::UNIX_EPOCH + since_epoch.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use runtime_core::purge_cache::PurgeRequest;
    use runtime_gc::ResourceTracker;

    use super::*;

    /// Keeps what it was asked, and has nothing to purge.
    #[derive(Debug, Default)]
    struct Service {
        asked: Mutex<Vec<Option<Timestamp>>>,
        is_away: AtomicBool,
    }

    #[async_trait]
    impl PurgeCache for Service {
        async fn purge_requests(
            &self,
            _: &str,
            since: Option<Timestamp>,
        ) -> Result<Vec<PurgeRequest>, ApiError> {
            self.asked.lock().push(since);
            match self.is_away.load(Ordering::SeqCst) {
                true => Err(ApiError::NotConnected {
                    method: "purgeRequests",
                }),
                false => Ok(Vec::new()),
            }
        }
    }

    #[tokio::test]
    async fn a_query_overlaps_the_last_one_that_succeeded() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let caches = FolderCache::builder(folder.path());
        let caches = caches.open(ResourceTracker::detached()).await;
        let caches = caches.expect("the folder is ours");
        let service = Arc::new(Service::default());
        let purger = Purger::new(service.clone(), "pool/linux".to_owned());
        let at = |minute: u64| Timestamp::UNIX_EPOCH + Duration::from_secs(60 * minute);
        for (minute, is_away) in [(10, false), (20, true), (30, false), (40, false)] {
            service.is_away.store(is_away, Ordering::SeqCst);
            let purged = purger.purge(&caches, at(minute)).await;
            assert_eq!(purged.is_err(), is_away);
        }
        let since_last = [None, Some(at(5)), Some(at(5)), Some(at(25))];
        assert_eq!(*service.asked.lock(), since_last);
    }
}
