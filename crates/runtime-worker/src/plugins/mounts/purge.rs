//! Applies the purge requests of the purge-cache service.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use runtime_caching::FolderCache;
use runtime_core::purge_cache::PurgeCache;
use runtime_core::{ApiError, Timestamp};

/// Overlap of consecutive queries. The service answers from a cache of up to 10 s, so a request may become visible after
/// one with a later time.
const QUERY_OVERLAP: Duration = Duration::from_secs(5 * 60);

/// Queries the purge-cache service and purges the requested caches.
///
/// Only times of the service are compared with each other, because the clock of this machine may be wrong, now or when
/// a cache was created.
#[derive(Debug)]
pub(super) struct Purger {
    service: Arc<dyn PurgeCache>,
    worker_pool_id: String,
    /// The latest request for each cache; `None` before the first successful query. That query returns all requests,
    /// for the caches of earlier processes. A failed query changes nothing, so that its requests are not lost.
    applied: Mutex<Option<HashMap<String, Timestamp>>>,
}

impl Purger {
    pub(super) fn new(service: Arc<dyn PurgeCache>, worker_pool_id: String) -> Self {
        Self {
            service,
            worker_pool_id,
            applied: Mutex::default(),
        }
    }

    /// Purges the requested caches and returns their number. A cache in use is removed when its task releases it, even
    /// if the task commits it.
    pub(super) async fn purge(&self, caches: &FolderCache<String>) -> Result<usize, ApiError> {
        let service = &self.service;
        let since = self.query_start();
        let requests = service.purge_requests(&self.worker_pool_id, since).await?;
        let mut applied = self.applied.lock();
        let is_first_query = applied.is_none();
        let applied = applied.get_or_insert_default();
        let purged = requests.into_iter().map(|request| {
            // The latest time is kept: answers to the queries of concurrent tasks arrive in any order, and an
            // older time would make the latest request new once more.
            let latest = applied.get(&request.cache_name);
            let is_known = latest.is_some_and(|latest| *latest >= request.before);
            if !is_known {
                applied.insert(request.cache_name.clone(), request.before);
            }
            let is_new = !is_first_query && !is_known;
            let (before, now) = (system_time(request.before), SystemTime::now());
            // A request that has arrived since the last query is for every cache of the name, except perhaps for one
            // that was created in the meantime. The time of creation, by the local clock, is only needed to tell
            // caches of earlier processes from those created after an old request; one in the future is wrong.
            caches.purge(|cache| {
                let is_older = cache.created < before || cache.created > now;
                *cache.key == request.cache_name && (is_new || is_older)
            })
        });
        Ok(purged.sum())
    }

    /// Returns the time of the latest known request, minus the overlap.
    fn query_start(&self) -> Option<Timestamp> {
        let applied = self.applied.lock();
        let latest = applied.as_ref()?.values().max()?;
        Some(latest.checked_sub(QUERY_OVERLAP).unwrap_or(*latest))
    }
}

/// Converts a timestamp. Times before 1970 become 1970: no cache is older.
fn system_time(time: Timestamp) -> SystemTime {
    let since_epoch = Duration::try_from(time.duration_since(Timestamp::UNIX_EPOCH));
    SystemTime::UNIX_EPOCH + since_epoch.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use runtime_caching::NewFolder;
    use runtime_core::purge_cache::PurgeRequest;
    use runtime_gc::ResourceTracker;

    use super::*;

    /// Records the queries and returns all requests since then.
    #[derive(Debug, Default)]
    struct RecordingService {
        requests: Mutex<Vec<PurgeRequest>>,
        queries: Mutex<Vec<Option<Timestamp>>>,
        is_unreachable: AtomicBool,
    }

    impl RecordingService {
        fn request(&self, name: &str, before: Timestamp) {
            self.requests.lock().push(PurgeRequest::new(name, before));
        }
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
            let mut requests = self.requests.lock().clone();
            requests.retain(|request| since.is_none_or(|since| request.before >= since));
            Ok(requests)
        }
    }

    struct Bed {
        _folder: tempfile::TempDir,
        caches: FolderCache<String>,
        service: Arc<RecordingService>,
        purger: Purger,
    }

    impl Bed {
        async fn new() -> Self {
            let folder = tempfile::tempdir().expect("create a folder");
            let caches = FolderCache::builder(folder.path());
            let caches = caches.open(ResourceTracker::detached()).await;
            let service = Arc::new(RecordingService::default());
            Self {
                _folder: folder,
                caches: caches.expect("open the caches"),
                purger: Purger::new(service.clone(), "pool/linux".to_owned()),
                service,
            }
        }

        async fn create(&self, name: &str) {
            let leave_empty = |_: NewFolder| ready(Ok::<_, Infallible>(()));
            let created = self.caches.require(&name.to_owned(), leave_empty).await;
            let committed = created.expect("create a cache").commit().await;
            committed.expect("write the record");
        }

        async fn purge(&self) -> usize {
            let purged = self.purger.purge(&self.caches).await;
            purged.expect("the service is reachable")
        }
    }

    fn minute(minute: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(60 * minute)
    }

    #[tokio::test]
    async fn query_overlaps_the_latest_request() {
        let bed = Bed::new().await;
        let unreachable = &bed.service.is_unreachable;
        bed.service.request("a", minute(20));
        for is_unreachable in [true, false, false] {
            unreachable.store(is_unreachable, Ordering::SeqCst);
            let purged = bed.purger.purge(&bed.caches).await;
            assert_eq!(purged.is_err(), is_unreachable);
        }
        bed.service.request("b", minute(30));
        bed.purge().await;
        bed.purge().await;
        let expected = [
            None,
            None,
            Some(minute(15)),
            Some(minute(15)),
            Some(minute(25)),
        ];
        assert_eq!(*bed.service.queries.lock(), expected);
    }

    #[tokio::test]
    async fn new_request_does_not_depend_on_local_clock() {
        let bed = Bed::new().await;
        bed.purge().await;
        bed.create("a").await;
        // By the local clock, the cache was created long after the request.
        bed.service.request("a", minute(10));
        assert_eq!(bed.purge().await, 1);
        bed.create("a").await;
        assert_eq!(bed.purge().await, 0, "the request was applied");
        bed.service.request("b", minute(11));
        bed.service.request("a", minute(11));
        assert_eq!(bed.purge().await, 1);
    }

    #[tokio::test]
    async fn outdated_answer_does_not_repeat_a_request() {
        let bed = Bed::new().await;
        bed.purge().await;
        bed.service.request("a", minute(30));
        bed.purge().await;
        *bed.service.requests.lock() = vec![PurgeRequest::new("a", minute(29))];
        bed.purge().await;
        bed.create("a").await;
        bed.service.request("a", minute(30));
        assert_eq!(bed.purge().await, 0, "the cache is newer than the request");
    }

    #[tokio::test]
    async fn first_query_keeps_newer_caches() {
        let bed = Bed::new().await;
        bed.create("a").await;
        bed.create("b").await;
        bed.service.request("a", minute(10));
        bed.service.request("b", Timestamp::MAX);
        assert_eq!(bed.purge().await, 1);
    }
}
