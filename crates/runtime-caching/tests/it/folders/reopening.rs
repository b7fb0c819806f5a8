//! Folders that the next process adopts.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use runtime_caching::{
    FolderCache, LookupOutcome, OpenCacheError, Sharing, SweepReport, Uncommitted,
};
use runtime_gc::{Footprint, Size};

use super::support::{EXCLUSIVE, Fixture, get, read, write};

#[tokio::test]
async fn shared_folder_keeps_its_path() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let new = get(&cache, "a").await.unwrap();
    assert_eq!(new.lookup(), LookupOutcome::Miss);
    let (path, created) = (new.path().to_owned(), new.created());
    drop((new, cache));

    let cache = fixture.open(Sharing::Shared).await;
    assert!(cache.initial_sweep().is_clean());
    assert_eq!(cache.initial_sweep().adopted, 1);
    let found = get(&cache, "a").await.unwrap();
    assert_eq!((found.lookup(), found.path()), (LookupOutcome::Hit, &*path));
    assert_eq!(read(&found), "whole");
    let age = created.duration_since(found.created()).unwrap();
    assert!(
        age < Duration::from_millis(1),
        "the time of creation persists"
    );
}

#[tokio::test]
async fn only_committed_folders_are_adopted() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    let one = get(&cache, "a").await.unwrap();
    write(one.path(), "changed").unwrap();
    one.commit().await.unwrap();
    drop((get(&cache, "b").await.unwrap(), cache));
    let report = fixture.collector.collect().await;
    assert_eq!(report.freed.len(), 1);

    let cache = fixture.open(EXCLUSIVE).await;
    assert_eq!(cache.len(), 1);
    let found = get(&cache, "a").await.unwrap();
    assert_eq!(
        (found.lookup(), &*read(&found)),
        (LookupOutcome::Hit, "changed")
    );
    fixture.collector.collect().await;
    assert_eq!(
        fixture.counts(),
        [0, 1, 1, 0],
        "one is leased, all others are removed"
    );
}

#[tokio::test]
async fn all_exclusive_copies_are_adopted() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    let (one, two) = (
        get(&cache, "a").await.unwrap(),
        get(&cache, "a").await.unwrap(),
    );
    assert_ne!(one.path(), two.path());
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    drop(cache);
    let cache = fixture.open(EXCLUSIVE).await;
    let (one, two) = (
        get(&cache, "a").await.unwrap(),
        get(&cache, "a").await.unwrap(),
    );
    assert_eq!(
        (one.lookup(), two.lookup()),
        (LookupOutcome::Hit, LookupOutcome::Hit)
    );
}

#[tokio::test]
async fn kept_uncommitted_folder_is_adopted() {
    let fixture = Fixture::new();
    let keep = Sharing::Exclusive(Uncommitted::Keep);
    let cache = fixture.open(keep).await;
    drop((get(&cache, "a").await.unwrap(), cache));
    let cache = fixture.open(keep).await;
    assert_eq!(get(&cache, "a").await.unwrap().lookup(), LookupOutcome::Hit);
}

#[tokio::test]
async fn second_cache_reports_the_owner() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let error = fixture.try_open(Sharing::Shared).await.unwrap_err();
    assert!(error.is_transient());
    let OpenCacheError::Locked { holder, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*holder, Some(std::process::id()));
    assert!(
        error.to_string().contains("is in use by process"),
        "{error}"
    );

    let handle = get(&cache, "a").await.unwrap();
    drop(cache);
    let still = fixture.try_open(Sharing::Shared).await;
    assert!(
        matches!(still, Err(OpenCacheError::Locked { .. })),
        "a folder still holds the lock"
    );
    drop(handle);
    fixture.open(Sharing::Shared).await;
}

#[tokio::test]
async fn unknown_format_is_left_unchanged() {
    let fixture = Fixture::new();
    drop(fixture.open(Sharing::Shared).await);
    fs::write(fixture.root().join("format"), "99").unwrap();
    let error = fixture.try_open(Sharing::Shared).await.unwrap_err();
    assert!(matches!(&error, OpenCacheError::Format { found, .. } if found == "99"));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn unusable_root_is_named_in_error() {
    let fixture = Fixture::new();
    fs::write(fixture.root(), "a file").unwrap();
    let error = fixture.try_open(Sharing::Shared).await.unwrap_err();
    let root = fixture.root().display().to_string();
    assert!(matches!(error, OpenCacheError::Io { .. }));
    assert!(error.to_string().contains(&root), "{error}");
}

#[tokio::test]
async fn size_and_last_use_persist() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    for key in ["new", "old"] {
        let handle = get(&cache, key).await.unwrap();
        write(handle.path(), &"x".repeat(100_000)).unwrap();
        handle.commit().await.unwrap();
    }
    drop(cache);
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for name in fixture.names("index") {
        let path = fixture.root().join("index").join(name);
        if fs::read_to_string(&path).unwrap().contains("old") {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
    }

    let _cache = fixture.open(EXCLUSIVE).await;
    let plan = fixture.collector.explain();
    let names: Vec<_> = plan.resources.iter().map(|it| &*it.name).collect();
    assert_eq!(names, [r#"root: "old""#, r#"root: "new""#]);
    let Footprint {
        disk: Size::Known(bytes),
        inodes,
        ..
    } = plan.resources[0].footprint
    else {
        panic!("the size is recorded");
    };
    assert!((100_000..200_000).contains(&bytes), "{bytes}");
    assert_eq!(inodes, Size::Known(2));
}

#[tokio::test]
async fn keys_of_another_type_are_rejected() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    drop((get(&cache, "a").await.unwrap(), cache));
    let builder = FolderCache::<u32>::builder(fixture.root());
    let cache = builder.open(fixture.collector.tracker()).await.unwrap();
    let mut expected = SweepReport::default();
    (expected.unreadable, expected.unknown) = (1, 1);
    assert_eq!(*cache.initial_sweep(), expected);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}
