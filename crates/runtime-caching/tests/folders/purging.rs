//! Purged folders do not come back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime_caching::{FolderCache, Lookup, Sharing};
use tokio::sync::Semaphore;

use crate::support::{EXCLUSIVE, Place, fill, get, read, settle};

async fn lookup_after_reopening(place: &Place, cache: FolderCache<String>) -> Lookup {
    drop(cache);
    let cache = place.open(Sharing::Shared).await;
    get(&cache, "a").await.unwrap().lookup()
}

#[tokio::test]
async fn an_idle_folder_that_was_purged_is_gone_at_once_and_removed_later() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    get(&cache, "a").await.unwrap();
    get(&cache, "b").await.unwrap();
    assert_eq!(cache.purge(|it| it.key == "a" && it.path.is_some()), 1);
    assert_eq!(place.counts(), [1, 0, 2, 0]);
    place.collector.collect().await;
    assert_eq!(place.counts(), [1, 0, 1, 0]);
    assert_eq!(lookup_after_reopening(&place, cache).await, Lookup::Miss);
}

#[tokio::test]
async fn a_shared_folder_that_was_purged_while_in_use_stays_for_its_user_only() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(cache.purge_all(), 1);
    assert!(
        place.names("index").is_empty(),
        "the next process does not find it"
    );
    place.collector.collect().await;
    assert_eq!(read(&handle), "whole");
    assert_eq!(get(&cache, "a").await.unwrap().lookup(), Lookup::Miss);
    drop(handle);
    place.collector.collect().await;
    assert_eq!(place.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_folder_that_was_purged_while_it_is_changed_is_not_brought_back_by_its_commit() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(cache.purge_all(), 1);
    handle.commit().await.unwrap();
    assert_eq!(place.counts(), [0, 0, 1, 0]);
    place.collector.collect().await;
    assert_eq!(place.counts(), [0, 0, 0, 0]);
    assert_eq!(get(&cache, "a").await.unwrap().lookup(), Lookup::Miss);
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_arrives_while_a_folder_is_being_made_is_not_lost() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    let gate = Arc::new(Semaphore::new(0));
    let waiter = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        let slowly = move |draft| {
            let gate = Arc::clone(&gate);
            async move {
                let _permit = gate.acquire().await;
                fill(draft).await
            }
        };
        tokio::spawn(async move { cache.require(&"a".to_owned(), slowly).await })
    };
    while place.names("folders").is_empty() {
        settle().await;
    }
    assert_eq!(cache.purge(|it| it.path.is_none()), 1);
    gate.add_permits(1);
    let handle = waiter.await.unwrap().unwrap();
    assert_eq!((read(&handle), cache.len()), ("whole".to_owned(), 0));
    assert_eq!(place.counts(), [0, 0, 1, 0]);
    drop(handle);
    place.collector.collect().await;
    assert_eq!(place.counts(), [0, 0, 0, 0]);
    assert_eq!(lookup_after_reopening(&place, cache).await, Lookup::Miss);
}

#[tokio::test]
async fn a_purge_of_what_was_created_before_spares_what_is_newer() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    get(&cache, "a").await.unwrap().commit().await.unwrap();
    let second = Duration::from_secs(1);
    let (before, after) = (SystemTime::now() - second, SystemTime::now() + second);
    let key = "a".to_owned();
    assert_eq!(cache.purge_before(&key, before), 0);
    assert_eq!(cache.purge_before(&"b".to_owned(), after), 0);
    assert_eq!(cache.purge_before(&key, after), 1);
}
