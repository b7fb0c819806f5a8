//! Exclusive resources, and resources that are released, purged or adopted.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::{Counts, Item, machine, wait_until};
use runtime_caching::{Cache, ConstructionContext, LookupOutcome, Sharing, Uncommitted};
use runtime_gc::{GarbageCollector, GcConfig};
use tokio::sync::Semaphore;

const DISPOSE: Sharing = Sharing::Exclusive(Uncommitted::Dispose);
const KEEP: Sharing = Sharing::Exclusive(Uncommitted::Keep);

struct Fixture {
    counts: Counts,
    permits: Arc<Semaphore>,
    collector: GarbageCollector,
    cache: Cache<&'static str, Item>,
}

impl Fixture {
    /// Creates a cache whose constructor waits for a permit.
    fn blocked(sharing: Sharing) -> Self {
        let (counts, permits) = (Counts::default(), Arc::new(Semaphore::new(0)));
        let construct = {
            let (counts, permits) = (counts.clone(), Arc::clone(&permits));
            move |key: &'static str, _: ConstructionContext| {
                let (counts, permits) = (counts.clone(), Arc::clone(&permits));
                async move {
                    let permit = permits.acquire().await.expect("the semaphore is open");
                    drop(permit);
                    io::Result::Ok(counts.construct(key))
                }
            }
        };
        let collector = GarbageCollector::new(GcConfig::default(), machine());
        let cache = Cache::new("items", sharing, construct, collector.tracker());
        Self {
            counts,
            permits,
            collector,
            cache,
        }
    }

    fn new(sharing: Sharing) -> Self {
        let fixture = Self::blocked(sharing);
        fixture.permits.add_permits(1);
        fixture
    }

    /// Returns the number of entries after a collection.
    async fn remaining(&self) -> usize {
        self.collector.collect().await;
        let remaining = self.cache.len();
        assert_eq!(
            self.counts.constructed() - self.counts.disposed(),
            remaining
        );
        remaining
    }
}

#[tokio::test]
async fn exclusive_users_get_separate_reusable_copies() {
    let fixture = Fixture::new(DISPOSE);
    let (one, two) = (
        fixture.cache.require(&"a").await.unwrap(),
        fixture.cache.require(&"a").await.unwrap(),
    );
    assert!(!std::ptr::eq(&*one, &*two));
    one.commit();
    two.commit();
    let (one, two) = (
        fixture.cache.require(&"a").await.unwrap(),
        fixture.cache.require(&"a").await.unwrap(),
    );
    assert_eq!(
        (one.lookup(), two.lookup()),
        (LookupOutcome::Hit, LookupOutcome::Hit)
    );
    assert_eq!(fixture.counts.constructed(), 2);
}

#[tokio::test]
async fn uncommitted_handle_is_disposed_by_default() {
    for (sharing, remaining) in [(DISPOSE, 0), (KEEP, 1)] {
        let fixture = Fixture::new(sharing);
        drop(fixture.cache.require(&"a").await.unwrap());
        assert_eq!(fixture.remaining().await, remaining);
    }
}

#[tokio::test]
async fn aborted_task_discards_its_resource() {
    let fixture = Fixture::new(DISPOSE);
    let cache = fixture.cache.clone();
    let task = tokio::spawn(async move {
        let _handle = cache.require(&"a").await.unwrap();
        std::future::pending::<()>().await;
    });
    wait_until(|| fixture.counts.constructed() > 0).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(fixture.remaining().await, 0);
}

#[tokio::test]
async fn dropped_request_keeps_the_new_resource() {
    let fixture = Fixture::blocked(DISPOSE);
    let mut request = Box::pin(fixture.cache.require(&"a"));
    tokio::select! {
        biased;
        _ = &mut request => unreachable!("no permits"),
        () = tokio::task::yield_now() => {}
    }
    fixture.permits.add_permits(1);
    wait_until(|| fixture.counts.constructed() > 0).await;
    drop(request);
    assert_eq!(
        fixture.remaining().await,
        1,
        "it was constructed and not modified"
    );
    assert_eq!(
        fixture.cache.require(&"a").await.unwrap().lookup(),
        LookupOutcome::Hit
    );
}

#[tokio::test]
async fn poisoned_resource_is_not_reused() {
    for sharing in [Sharing::Shared, DISPOSE, KEEP] {
        let fixture = Fixture::new(sharing);
        fixture.cache.require(&"a").await.unwrap().poison();
        assert_eq!(fixture.remaining().await, 0);
        assert_eq!(
            fixture.cache.require(&"a").await.unwrap().lookup(),
            LookupOutcome::Miss
        );
    }
}

#[tokio::test]
async fn poisoned_resource_stays_for_other_users() {
    let fixture = Fixture::new(Sharing::Shared);
    let (one, other) = (
        fixture.cache.require(&"a").await.unwrap(),
        fixture.cache.require(&"a").await.unwrap(),
    );
    one.poison();
    fixture.collector.collect().await;
    assert_eq!((fixture.counts.disposed(), other.name()), (0, "a"));
    drop(other);
    assert_eq!(fixture.remaining().await, 0);
}

#[tokio::test]
async fn purge_during_construction_applies() {
    for sharing in [Sharing::Shared, DISPOSE, KEEP] {
        let fixture = Fixture::blocked(sharing);
        let waiter = {
            let cache = fixture.cache.clone();
            tokio::spawn(async move { cache.require(&"a").await })
        };
        wait_until(|| !fixture.cache.is_empty()).await;
        assert_eq!(fixture.cache.purge(|it| it.resource.is_none()), 1);
        fixture.permits.add_permits(1);
        let purged = waiter.await.unwrap().unwrap();
        let fresh = fixture.cache.require(&"a").await.unwrap();
        assert_eq!(
            (fresh.lookup(), fixture.counts.constructed()),
            (LookupOutcome::Miss, 2)
        );
        fresh.commit();
        purged.commit();
        assert_eq!(fixture.remaining().await, 1);
    }
}

#[tokio::test]
async fn purge_in_use_applies_at_release() {
    for sharing in [Sharing::Shared, DISPOSE, KEEP] {
        let fixture = Fixture::new(sharing);
        let handle = fixture.cache.require(&"a").await.unwrap();
        assert_eq!((fixture.cache.purge_all(), fixture.cache.len()), (1, 0));
        fixture.collector.collect().await;
        assert_eq!((fixture.counts.disposed(), handle.name()), (0, "a"));
        handle.commit();
        assert_eq!(fixture.remaining().await, 0);
    }
}

#[tokio::test]
async fn purge_selects_by_key_and_time() {
    let fixture = Fixture::new(Sharing::Shared);
    for key in ["a", "b"] {
        fixture.cache.require(&key).await.unwrap();
    }
    let second = Duration::from_secs(1);
    let now = SystemTime::now();
    assert_eq!(fixture.cache.purge_before(&"a", now - second), 0);
    assert_eq!(fixture.cache.purge_before(&"a", now + second), 1);
    assert_eq!(fixture.remaining().await, 1);
    assert_eq!(
        fixture.cache.require(&"b").await.unwrap().lookup(),
        LookupOutcome::Hit
    );
}

#[tokio::test]
async fn adopted_resource_keeps_its_age() {
    let fixture = Fixture::new(Sharing::Shared);
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    let adopt = |idle| {
        let item = fixture.counts.construct("a");
        fixture
            .cache
            .adopt("a", item, long_ago, Duration::from_secs(idle))
    };
    assert!(adopt(60));
    assert!(!adopt(5), "a shared cache has one resource per key");
    let text = fixture.collector.explain().to_string();
    assert!(text.contains("keep: idle for 60 s"), "{text}");
    assert_eq!(fixture.remaining().await, 1);
    let found = fixture.cache.require(&"a").await.unwrap();
    assert_eq!(
        (found.lookup(), found.created()),
        (LookupOutcome::Hit, long_ago)
    );
}

#[tokio::test]
async fn lookup_distinguishes_miss_and_join() {
    let fixture = Fixture::blocked(Sharing::Shared);
    let (one, two) = tokio::join!(fixture.cache.require(&"a"), async {
        let two = fixture.cache.require(&"a");
        fixture.permits.add_permits(1);
        two.await
    });
    assert_eq!(one.unwrap().lookup(), LookupOutcome::Miss);
    assert_eq!(two.unwrap().lookup(), LookupOutcome::Joined);
}

#[tokio::test]
async fn broken_copy_is_replaced_by_another() {
    let fixture = Fixture::new(DISPOSE);
    let (one, two) = (
        fixture.cache.require(&"a").await.unwrap(),
        fixture.cache.require(&"a").await.unwrap(),
    );
    one.mark_broken();
    one.commit();
    two.commit();
    let (first, second) = (
        fixture.cache.require(&"a").await.unwrap(),
        fixture.cache.require(&"a").await.unwrap(),
    );
    let lookups = [first.lookup(), second.lookup()];
    assert!(lookups.contains(&LookupOutcome::Hit) && lookups.contains(&LookupOutcome::Miss));
    assert_eq!(fixture.remaining().await, 2);
}
