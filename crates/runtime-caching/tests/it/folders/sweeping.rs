//! Roots that were modified by hand.

use std::fs;
use std::sync::Arc;

use runtime_caching::{FolderCache, LookupOutcome, Sharing};
use runtime_gc::ResourceTracker;
use tokio::sync::Semaphore;

use super::support::{EXCLUSIVE, Fixture, fill, get, read, settle_until};

/// Creates a root with one shared folder, and closes it.
async fn with_one() -> Fixture {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    drop((get(&cache, "a").await.unwrap(), cache));
    assert_eq!(fixture.counts(), [1, 0, 1, 0]);
    fixture
}

#[tokio::test]
async fn record_without_folder_is_removed() {
    let fixture = with_one().await;
    fs::remove_dir_all(
        fixture
            .root()
            .join("folders")
            .join(&fixture.names("folders")[0]),
    )
    .unwrap();
    let cache = fixture.open(Sharing::Shared).await;
    assert_eq!((cache.initial_sweep().missing, cache.len()), (1, 0));
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
    assert_eq!(
        get(&cache, "a").await.unwrap().lookup(),
        LookupOutcome::Miss
    );
}

#[tokio::test]
async fn folders_without_record_are_removed() {
    let fixture = with_one().await;
    fs::create_dir_all(fixture.root().join("folders/by-hand/deep")).unwrap();
    fs::write(fixture.root().join("folders/a-file"), "x").unwrap();
    fs::create_dir_all(fixture.root().join("trash/half-removed/deep")).unwrap();
    let cache = fixture.open(Sharing::Shared).await;
    assert_eq!(
        (cache.initial_sweep().unknown, cache.initial_sweep().trash),
        (2, 1)
    );
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn unfinished_folder_is_removed() {
    let fixture = with_one().await;
    let id = fixture.names("index")[0].clone();
    let (index, leases) = (fixture.root().join("index"), fixture.root().join("leases"));
    fs::rename(index.join(&id), leases.join(&id)).unwrap();
    fs::write(leases.join("other.new"), "{\"key").unwrap();
    let cache = fixture.open(Sharing::Shared).await;
    assert_eq!((cache.initial_sweep().unfinished, cache.len()), (1, 0));
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn lease_outweighs_a_record() {
    // As a power loss may leave both, of which the lease is newer.
    let fixture = with_one().await;
    let id = fixture.names("index")[0].clone();
    fs::copy(fixture.record(), fixture.root().join("leases").join(id)).unwrap();
    let cache = fixture.open(Sharing::Shared).await;
    let report = cache.initial_sweep();
    assert_eq!((report.unfinished, report.missing, cache.len()), (1, 0, 0));
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn files_of_live_folders_are_spared() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let handle = get(&cache, "a").await.unwrap();
    let id = fixture.names("index")[0].clone();
    // Another thread is writing its record, and an earlier copy of the folder is being removed.
    let new_record = fixture.root().join(format!("index/{id}.new"));
    let copy = fixture.root().join(format!("trash/{id}.1"));
    fs::write(&new_record, "half").unwrap();
    fs::create_dir(&copy).unwrap();
    assert!(cache.sweep().await.unwrap().is_clean());
    fixture.collector.collect().await;
    assert!(new_record.exists() && copy.exists());
    drop(handle);
}

#[tokio::test(start_paused = true)]
async fn detached_tracker_empties_the_trash() {
    let fixture = with_one().await;
    fs::create_dir_all(fixture.root().join("folders/by-hand/deep")).unwrap();
    fs::create_dir_all(fixture.root().join("trash/half-removed/deep")).unwrap();
    let builder = FolderCache::<String>::builder(fixture.root());
    let cache = builder.open(ResourceTracker::detached()).await.unwrap();
    settle_until(|| fixture.counts() == [1, 0, 1, 0]).await;
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(
        (handle.lookup(), cache.purge_all()),
        (LookupOutcome::Hit, 1)
    );
    drop(handle);
    settle_until(|| fixture.counts() == [0, 0, 0, 0]).await;
}

#[tokio::test]
async fn damaged_record_removes_only_its_folder() {
    for damage in ["", "{\"key\": \"a\"", "[1]", "\u{0}\u{0}\u{0}\u{0}"] {
        let fixture = with_one().await;
        fs::write(fixture.record(), damage).unwrap();
        let cache = fixture.open(Sharing::Shared).await;
        assert_eq!(
            (cache.initial_sweep().unreadable, cache.len()),
            (1, 0),
            "{damage}"
        );
        fixture.collector.collect().await;
        assert_eq!(fixture.counts(), [0, 0, 0, 0]);
        assert_eq!(
            get(&cache, "a").await.unwrap().lookup(),
            LookupOutcome::Miss
        );
    }
}

#[tokio::test]
async fn newer_of_two_copies_is_adopted() {
    let fixture = with_one().await;
    let record = fs::read_to_string(fixture.record()).unwrap();
    fs::write(
        fixture.root().join("index/copy"),
        record.replace("\"created\":1", "\"created\":9"),
    )
    .unwrap();
    fs::create_dir(fixture.root().join("folders/copy")).unwrap();
    fs::write(fixture.root().join("folders/copy/content"), "newer").unwrap();
    let cache = fixture.open(Sharing::Shared).await;
    assert_eq!((cache.initial_sweep().adopted, cache.len()), (1, 1));
    assert_eq!(read(&get(&cache, "a").await.unwrap()), "newer");
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn deleted_folder_is_a_miss() {
    for sharing in [Sharing::Shared, EXCLUSIVE] {
        let fixture = Fixture::new();
        let cache = fixture.open(sharing).await;
        let handle = get(&cache, "a").await.unwrap();
        let path = handle.path().to_owned();
        handle.commit().await.unwrap();
        fs::remove_dir_all(&path).unwrap();
        let handle = get(&cache, "a").await.unwrap();
        assert_eq!(
            (handle.lookup(), &*read(&handle)),
            (LookupOutcome::Miss, "whole")
        );
        assert_ne!(handle.path(), path);
        handle.commit().await.unwrap();
        let report = fixture.collector.collect().await;
        assert_eq!((report.freed.len(), report.failed.len()), (1, 0));
        assert_eq!(fixture.counts(), [1, 0, 1, 0]);
    }
}

#[tokio::test]
async fn deleted_record_is_an_exclusive_miss() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    get(&cache, "a").await.unwrap().commit().await.unwrap();
    fs::remove_file(fixture.record()).unwrap();
    let handle = get(&cache, "a").await.unwrap();
    assert_eq!(handle.lookup(), LookupOutcome::Miss);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 1, 1, 0]);
}

#[tokio::test]
async fn failed_check_is_a_miss() {
    let fixture = Fixture::new();
    let cache: FolderCache<String> = FolderCache::builder(fixture.root())
        .check(|path| path.join("content").is_file())
        .open(fixture.collector.tracker())
        .await
        .unwrap();
    let handle = get(&cache, "a").await.unwrap();
    fs::remove_file(handle.path().join("content")).unwrap();
    drop(handle);
    assert_eq!(read(&get(&cache, "a").await.unwrap()), "whole");
}

#[tokio::test(start_paused = true)]
async fn sweep_spares_used_and_unfinished_folders() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    let in_use = get(&cache, "in use").await.unwrap();
    get(&cache, "idle").await.unwrap().commit().await.unwrap();
    let permits = Arc::new(Semaphore::new(0));
    let construction = {
        let (cache, permits) = (cache.clone(), Arc::clone(&permits));
        let slowly = move |folder| {
            let permits = Arc::clone(&permits);
            async move {
                let _permit = permits.acquire().await;
                fill(folder).await
            }
        };
        tokio::spawn(async move { cache.require(&"slow".to_owned(), slowly).await })
    };
    settle_until(|| fixture.names("folders").len() == 3).await;
    fs::create_dir(fixture.root().join("folders/by-hand")).unwrap();

    let report = cache.sweep().await.unwrap();
    assert_eq!(
        (report.unknown, report.unfinished, report.missing),
        (1, 0, 0)
    );
    permits.add_permits(1);
    let constructed = construction.await.unwrap().unwrap();
    assert_eq!(
        (read(&constructed), read(&in_use)),
        ("whole".into(), "whole".into())
    );
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [1, 2, 3, 0]);
}

#[tokio::test]
async fn sweep_removes_entries_without_folder() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let path = get(&cache, "a").await.unwrap().path().to_owned();
    fs::remove_dir_all(path).unwrap();
    let report = cache.sweep().await.unwrap();
    assert_eq!((report.missing, cache.len()), (1, 0));
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}
