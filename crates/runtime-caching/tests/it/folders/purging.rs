//! Purged folders are not found again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime_caching::{FolderCache, LookupOutcome, Sharing};
use tokio::sync::Semaphore;

use super::support::{EXCLUSIVE, Fixture, fill, get, read, settle_until};

async fn lookup_after_reopening(fixture: &Fixture, cache: FolderCache<String>) -> LookupOutcome {
    drop(cache);
    let cache = fixture.open(Sharing::Shared).await;
    get(&cache, "a").await.unwrap().lookup()
}

#[tokio::test]
async fn purged_folder_is_removed_by_the_collector() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    get(&cache, "a").await.unwrap();
    get(&cache, "b").await.unwrap();
    assert_eq!(cache.purge(|it| it.key == "a" && it.path.is_some()), 1);
    assert_eq!(fixture.counts(), [1, 0, 2, 0]);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [1, 0, 1, 0]);
    assert_eq!(
        lookup_after_reopening(&fixture, cache).await,
        LookupOutcome::Miss
    );
}

#[tokio::test]
async fn purged_folder_stays_for_its_user() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(cache.purge_all(), 1);
    assert!(
        fixture.names("index").is_empty(),
        "the next process does not adopt it"
    );
    fixture.collector.collect().await;
    assert_eq!(read(&handle), "whole");
    assert_eq!(
        get(&cache, "a").await.unwrap().lookup(),
        LookupOutcome::Miss
    );
    drop(handle);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn commit_does_not_undo_a_purge() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(cache.purge_all(), 1);
    handle.commit().await.unwrap();
    assert_eq!(fixture.counts(), [0, 0, 1, 0]);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
    assert_eq!(
        get(&cache, "a").await.unwrap().lookup(),
        LookupOutcome::Miss
    );
}

#[tokio::test(start_paused = true)]
async fn purge_during_construction_applies() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let permits = Arc::new(Semaphore::new(0));
    let waiter = {
        let (cache, permits) = (cache.clone(), Arc::clone(&permits));
        let slowly = move |folder| {
            let permits = Arc::clone(&permits);
            async move {
                let _permit = permits.acquire().await;
                fill(folder).await
            }
        };
        tokio::spawn(async move { cache.require(&"a".to_owned(), slowly).await })
    };
    settle_until(|| !fixture.names("folders").is_empty()).await;
    assert_eq!(cache.purge(|it| it.path.is_none()), 1);
    permits.add_permits(1);
    let handle = waiter.await.unwrap().unwrap();
    assert_eq!((read(&handle), cache.len()), ("whole".to_owned(), 0));
    assert_eq!(fixture.counts(), [0, 0, 1, 0]);
    drop(handle);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
    assert_eq!(
        lookup_after_reopening(&fixture, cache).await,
        LookupOutcome::Miss
    );
}

#[tokio::test]
async fn purge_before_spares_newer_folders() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    get(&cache, "a").await.unwrap().commit().await.unwrap();
    let second = Duration::from_secs(1);
    let (before, after) = (SystemTime::now() - second, SystemTime::now() + second);
    let key = "a".to_owned();
    assert_eq!(cache.purge_before(&key, before), 0);
    assert_eq!(cache.purge_before(&"b".to_owned(), after), 0);
    assert_eq!(cache.purge_before(&key, after), 1);
}
