//! Roots that somebody has changed behind our back.

use std::fs;
use std::sync::Arc;

use runtime_caching::{FolderCache, Lookup, Sharing};
use tokio::sync::Semaphore;

use crate::support::{EXCLUSIVE, Place, fill, get, read, settle};

/// A root with one shared folder, closed.
async fn with_one() -> Place {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    drop((get(&cache, "a").await.unwrap(), cache));
    assert_eq!(place.counts(), [1, 0, 1, 0]);
    place
}

#[tokio::test]
async fn a_record_without_its_folder_goes() {
    let place = with_one().await;
    fs::remove_dir_all(
        place
            .root()
            .join("folders")
            .join(&place.names("folders")[0]),
    )
    .unwrap();
    let cache = place.open(Sharing::Shared).await;
    assert_eq!((cache.initial_sweep().missing, cache.len()), (1, 0));
    assert_eq!(place.counts(), [0, 0, 0, 0]);
    assert_eq!(get(&cache, "a").await.unwrap().lookup(), Lookup::Miss);
}

#[tokio::test]
async fn folders_without_a_record_go() {
    let place = with_one().await;
    fs::create_dir_all(place.root().join("folders/by-hand/deep")).unwrap();
    fs::write(place.root().join("folders/a-file"), "x").unwrap();
    fs::create_dir_all(place.root().join("trash/half-removed/deep")).unwrap();
    let cache = place.open(Sharing::Shared).await;
    assert_eq!(
        (cache.initial_sweep().unknown, cache.initial_sweep().trash),
        (2, 1)
    );
    place.collector.collect().await;
    assert_eq!(place.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn what_was_being_made_when_the_process_ended_goes() {
    let place = with_one().await;
    let id = place.names("index")[0].clone();
    let (index, leases) = (place.root().join("index"), place.root().join("leases"));
    fs::rename(index.join(&id), leases.join(&id)).unwrap();
    fs::write(leases.join("other.new"), "{\"key").unwrap();
    let cache = place.open(Sharing::Shared).await;
    assert_eq!((cache.initial_sweep().unfinished, cache.len()), (1, 0));
    place.collector.collect().await;
    assert_eq!(place.counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_damaged_record_costs_its_folder_and_nothing_else() {
    for damage in ["", "{\"key\": \"a\"", "[1]", "\u{0}\u{0}\u{0}\u{0}"] {
        let place = with_one().await;
        fs::write(place.record(), damage).unwrap();
        let cache = place.open(Sharing::Shared).await;
        assert_eq!(
            (cache.initial_sweep().unreadable, cache.len()),
            (1, 0),
            "{damage}"
        );
        place.collector.collect().await;
        assert_eq!(place.counts(), [0, 0, 0, 0]);
        assert_eq!(get(&cache, "a").await.unwrap().lookup(), Lookup::Miss);
    }
}

#[tokio::test]
async fn of_two_folders_with_one_key_the_newer_is_kept() {
    let place = with_one().await;
    let record = fs::read_to_string(place.record()).unwrap();
    fs::write(
        place.root().join("index/copy"),
        record.replace("\"created\":1", "\"created\":9"),
    )
    .unwrap();
    fs::create_dir(place.root().join("folders/copy")).unwrap();
    fs::write(place.root().join("folders/copy/content"), "newer").unwrap();
    let cache = place.open(Sharing::Shared).await;
    assert_eq!((cache.initial_sweep().adopted, cache.len()), (1, 1));
    assert_eq!(read(&get(&cache, "a").await.unwrap()), "newer");
    place.collector.collect().await;
    assert_eq!(place.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_folder_that_was_deleted_is_a_miss() {
    for sharing in [Sharing::Shared, EXCLUSIVE] {
        let place = Place::new();
        let cache = place.open(sharing).await;
        let handle = get(&cache, "a").await.unwrap();
        let path = handle.path().to_owned();
        handle.commit().await.unwrap();
        fs::remove_dir_all(&path).unwrap();
        let handle = get(&cache, "a").await.unwrap();
        assert_eq!((handle.lookup(), &*read(&handle)), (Lookup::Miss, "whole"));
        assert_ne!(handle.path(), path);
        handle.commit().await.unwrap();
        let report = place.collector.collect().await;
        assert_eq!((report.freed.len(), report.failed.len()), (1, 0));
        assert_eq!(place.counts(), [1, 0, 1, 0]);
    }
}

#[tokio::test]
async fn a_record_that_was_deleted_is_a_miss_for_who_would_change_the_folder() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    get(&cache, "a").await.unwrap().commit().await.unwrap();
    fs::remove_file(place.record()).unwrap();
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(handle.lookup(), Lookup::Miss);
    place.collector.collect().await;
    assert_eq!(place.counts(), [0, 1, 1, 0]);
}

#[tokio::test]
async fn a_folder_that_its_check_refuses_is_a_miss() {
    let place = Place::new();
    let cache: FolderCache<String> = FolderCache::builder(place.root())
        .check(|path| path.join("content").is_file())
        .open(place.collector.tracker())
        .await
        .unwrap();
    let handle = get(&cache, "a").await.unwrap();
    fs::remove_file(handle.path().join("content")).unwrap();
    drop(handle);
    assert_eq!(read(&get(&cache, "a").await.unwrap()), "whole");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_leaves_alone_what_is_in_use_or_being_made() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    let in_use = get(&cache, "in use").await.unwrap();
    get(&cache, "idle").await.unwrap().commit().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let making = {
        let (cache, gate) = (cache.clone(), Arc::clone(&gate));
        let slowly = move |draft| {
            let gate = Arc::clone(&gate);
            async move {
                let _permit = gate.acquire().await;
                fill(draft).await
            }
        };
        tokio::spawn(async move { cache.require(&"slow".to_owned(), slowly).await })
    };
    while place.names("folders").len() < 3 {
        settle().await;
    }
    fs::create_dir(place.root().join("folders/by-hand")).unwrap();

    let swept = cache.sweep().await.unwrap();
    assert_eq!((swept.unknown, swept.unfinished, swept.missing), (1, 0, 0));
    gate.add_permits(1);
    let made = making.await.unwrap().unwrap();
    assert_eq!(
        (read(&made), read(&in_use)),
        ("whole".into(), "whole".into())
    );
    place.collector.collect().await;
    assert_eq!(place.counts(), [1, 2, 3, 0]);
}

#[tokio::test]
async fn a_sweep_forgets_entries_whose_folder_is_gone() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    let path = get(&cache, "a").await.unwrap().path().to_owned();
    fs::remove_dir_all(path).unwrap();
    let swept = cache.sweep().await.unwrap();
    assert_eq!((swept.missing, cache.len()), (1, 0));
    place.collector.collect().await;
    assert_eq!(place.counts(), [0, 0, 0, 0]);
}
