//! Applies the purge requests of the purge-cache service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use runtime_caching::FolderCache;
use runtime_core::purge_cache::PurgeCache;
use runtime_core::{ApiError, Timestamp};

/// Overlap of consecutive queries. The service caches its answers for some seconds, and clocks differ.
const QUERY_OVERLAP: Duration = Duration::from_secs(5 * 60);

/// Queries the purge-cache service and purges the requested caches.
#[derive(Debug)]
pub(super) struct Purger {
    service: Arc<dyn PurgeCache>,
    worker_pool_id: String,
    /// Start of the last successful query. The first query has no start time: it returns all requests, for the caches of
    /// earlier processes.
    last_query: Mutex<Option<Timestamp>>,
}

impl Purger {
    pub(super) fn new(service: Arc<dyn PurgeCache>, worker_pool_id: String) -> Self {
        Self {
            service,
            worker_pool_id,
            last_query: Mutex::default(),
        }
    }

    /// Purges the requested caches and returns their number. A cache in use is removed when its task releases it, even
    /// if the task commits it.
    pub(super) async fn purge(
        &self,
        caches: &FolderCache<String>,
        now: Timestamp,
    ) -> Result<usize, ApiError> {
        let since = *self.last_query.lock();
        let since = since.map(|since| since.checked_sub(QUERY_OVERLAP).unwrap_or(since));
        let service = &self.service;
        let requests = service.purge_requests(&self.worker_pool_id, since).await?;
        let purged = requests
            .iter()
            .map(|request| caches.purge_before(&request.cache_name, system_time(request.before)));
        let purged = purged.sum();
        // Only after a success: a failed query must be repeated over the same time span, or its requests are lost.
        // The maximum, because tasks query concurrently and the later query may finish first.
        let mut last_query = self.last_query.lock();
        *last_query = (*last_query).max(Some(now));
        Ok(purged)
    }
}

/// Converts a timestamp. Times before 1970 become 1970: no cache is older.
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

    /// Records the queries and returns no requests.
    #[derive(Debug, Default)]
    struct RecordingService {
        queries: Mutex<Vec<Option<Timestamp>>>,
        is_unreachable: AtomicBool,
    }

    #[async_trait]
    impl PurgeCache for RecordingService {
        async fn purge_requests(
            &self,
            _: &str,
            since: Option<Timestamp>,
        ) -> Result<Vec<PurgeRequest>, ApiError> {
            self.queries.lock().push(since);
            if self.is_unreachable.load(Ordering::SeqCst) {
                return Err(ApiError::NotConnected {
                    method: "purgeRequests",
                });
            }
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn query_overlaps_the_last_successful_one() {
        let folder = tempfile::tempdir().expect("create a folder");
        let caches = FolderCache::builder(folder.path());
        let caches = caches.open(ResourceTracker::detached()).await;
        let caches = caches.expect("open the caches");
        let service = Arc::new(RecordingService::default());
        let purger = Purger::new(service.clone(), "pool/linux".to_owned());
        let at = |minute: u64| Timestamp::UNIX_EPOCH + Duration::from_secs(60 * minute);
        for (minute, is_unreachable) in [(10, false), (20, true), (30, false), (40, false)] {
            service
                .is_unreachable
                .store(is_unreachable, Ordering::SeqCst);
            let purged = purger.purge(&caches, at(minute)).await;
            assert_eq!(purged.is_err(), is_unreachable);
        }
        let expected = [None, Some(at(5)), Some(at(5)), Some(at(25))];
        assert_eq!(*service.queries.lock(), expected);
    }
}
