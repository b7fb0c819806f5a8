//! Lookups, single flight and progress of a shared cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Counts, Item, machine};
use runtime_caching::{Cache, ConstructionContext, RequireError, Sharing};
use runtime_gc::{GarbageCollector, GcConfig, ResourceTracker};
use tokio::sync::Semaphore;

fn cache(counts: &Counts, tracker: ResourceTracker) -> Cache<String, Item> {
    let counts = counts.clone();
    let construct = move |key: String, _: ConstructionContext| {
        let item = counts.construct(&key);
        async move {
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(item)
        }
    };
    Cache::new("items", Sharing::Shared, construct, tracker)
}

fn key(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn second_request_is_a_hit() {
    let counts = Counts::default();
    let cache = cache(&counts, ResourceTracker::detached());
    let first = cache.require(&key("a")).await.unwrap();
    let second = cache.require(&key("a")).await.unwrap();
    assert_eq!((first.name(), counts.constructed()), ("a", 1));
    assert!(std::ptr::eq(&*first, &*second));
    assert_eq!(cache.require(&key("b")).await.unwrap().name(), "b");
    assert_eq!(cache.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_construct_once() {
    let counts = Counts::default();
    let cache = cache(&counts, ResourceTracker::detached());
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.require(&key("a")).await.map(drop) })
        })
        .collect();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(counts.constructed(), 1);
}

#[tokio::test]
async fn failure_reaches_all_waiters_and_is_not_cached() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counts = Counts::default();
    let construct = {
        let (tries, counts) = (tries.clone(), counts.clone());
        move |key: String, _: ConstructionContext| {
            let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
            let item = counts.construct(&key);
            async move {
                tokio::task::yield_now().await;
                if first {
                    Err(std::io::Error::other("no network"))
                } else {
                    Ok(item)
                }
            }
        }
    };
    let cache = Cache::new(
        "items",
        Sharing::Shared,
        construct,
        ResourceTracker::detached(),
    );
    let name = key("a");
    let (one, other) = tokio::join!(cache.require(&name), cache.require(&name));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!(
            error.to_string(),
            r#"cannot construct `"a"` for the cache `items`"#
        );
        let cause = error
            .cause::<std::io::Error>()
            .expect("the error of the constructor");
        assert_eq!(cause.to_string(), "no network");
    }
    assert!(cache.is_empty());
    assert!(cache.require(&name).await.is_ok());
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn panic_is_an_error() {
    let construct = |_: String, _: ConstructionContext| async {
        tokio::task::yield_now().await;
        if true {
            panic!("oh {}", "no");
        }
        Ok::<Item, std::io::Error>(Counts::default().construct(""))
    };
    let cache = Cache::new(
        "items",
        Sharing::Shared,
        construct,
        ResourceTracker::detached(),
    );
    let error = cache.require(&key("a")).await.unwrap_err();
    assert!(matches!(error, RequireError::Panicked { message, .. } if &*message == "oh no"));
    assert!(cache.is_empty());
}

/// Creates a cache whose constructions wait for a permit, and counts those in progress.
fn blocked(permits: &Arc<Semaphore>, running: &Arc<AtomicUsize>) -> Cache<String, Item> {
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let (permits, running, counts) = (permits.clone(), running.clone(), Counts::default());
    let construct = move |key: String, context: ConstructionContext| {
        let (permits, running, counts) = (permits.clone(), running.clone(), counts.clone());
        async move {
            running.fetch_add(1, Ordering::SeqCst);
            let _running = Running(running);
            context.progress(1, Some(2), "waiting");
            let _permit = permits.acquire().await.expect("the semaphore is open");
            context.progress(2, Some(2), "done");
            Ok::<_, std::io::Error>(counts.construct(&key))
        }
    };
    Cache::new(
        "items",
        Sharing::Shared,
        construct,
        ResourceTracker::detached(),
    )
}

#[tokio::test(start_paused = true)]
async fn construction_is_cancelled_by_last_waiter() {
    let (permits, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let cache = blocked(&permits, &running);
    let wait = || {
        let cache = cache.clone();
        tokio::spawn(async move { cache.require(&key("a")).await.map(drop) })
    };
    let (one, other) = (wait(), wait());
    tokio::time::sleep(Duration::from_secs(1)).await;
    one.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((running.load(Ordering::SeqCst), cache.len()), (1, 1));
    other.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((running.load(Ordering::SeqCst), cache.len()), (0, 0));

    permits.add_permits(1);
    assert!(
        cache.require(&key("a")).await.is_ok(),
        "the next request constructs again"
    );
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_every_waiter() {
    let (permits, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let cache = blocked(&permits, &running);
    let wait = || {
        let cache = cache.clone();
        tokio::spawn(async move {
            let mut steps = Vec::new();
            let listener =
                |step: &runtime_caching::ConstructionProgress| steps.push(step.activity.clone());
            cache
                .require_with_progress(&key("a"), listener)
                .await
                .unwrap();
            steps
        })
    };
    let (one, other) = (wait(), wait());
    // A waiter that is not polled at all.
    let name = key("a");
    let mut stuck = Box::pin(cache.require(&name));
    tokio::select! {
        biased;
        _ = &mut stuck => unreachable!("no permits"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    permits.add_permits(1);
    assert_eq!(one.await.unwrap(), ["waiting", "done"]);
    assert_eq!(other.await.unwrap(), ["waiting", "done"]);
    stuck.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn handle_prevents_eviction() {
    let counts = Counts::default();
    let collector = GarbageCollector::new(GcConfig::default(), machine());
    let cache = cache(&counts, collector.tracker());
    let handle = cache.require(&key("a")).await.unwrap();
    collector.collect_all().await;
    assert_eq!((counts.disposed(), cache.len()), (0, 1));
    drop(handle);
    collector.collect_all().await;
    assert_eq!((counts.disposed(), cache.len()), (1, 0));
    cache.require(&key("a")).await.unwrap();
    assert_eq!(counts.constructed(), 2);
}

#[tokio::test]
async fn broken_resource_is_a_miss() {
    let counts = Counts::default();
    let collector = GarbageCollector::new(GcConfig::default(), machine());
    let cache = cache(&counts, collector.tracker());
    cache.require(&key("a")).await.unwrap().mark_broken();
    assert!(cache.require(&key("a")).await.is_ok());
    assert_eq!(counts.constructed(), 2);
    collector.collect().await;
    assert_eq!(
        counts.disposed(),
        1,
        "the broken one is disposed of without a shortage"
    );
}

#[tokio::test]
async fn dropping_the_cache_frees_its_resources() {
    let counts = Counts::default();
    let collector = GarbageCollector::new(GcConfig::default(), machine());
    let cache = cache(&counts, collector.tracker());
    let handle = cache.require(&key("in use")).await.unwrap();
    cache.require(&key("idle")).await.unwrap();
    drop(cache);
    collector.collect().await;
    assert_eq!(counts.disposed(), 1);
    drop(handle);
    collector.collect().await;
    assert_eq!((counts.disposed(), collector.tracker().count()), (2, 0));
}

#[tokio::test]
async fn own_constructor_is_used_once() {
    let counts = Counts::default();
    let cache = cache(&counts, ResourceTracker::detached());
    let own = {
        let counts = counts.clone();
        move |_: String, _: ConstructionContext| {
            let item = counts.construct("own");
            async move { Ok::<_, std::io::Error>(item) }
        }
    };
    let handle = cache
        .require_with_constructor(&key("a"), own, |_| {})
        .await
        .unwrap();
    assert_eq!(handle.name(), "own");
    assert_eq!(cache.require(&key("a")).await.unwrap().name(), "own");
}

#[test]
fn futures_and_handles_are_send() {
    fn check<T: Send>(_: T) {}
    fn check_both<T: Send + Sync>() {}
    check_both::<runtime_caching::Handle<String, Item>>();
    check_both::<Cache<String, Item>>();
    let cache = cache(&Counts::default(), ResourceTracker::detached());
    let name = key("a");
    check(cache.require(&name));
}
