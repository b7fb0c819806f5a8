//! What the next process finds.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use runtime_caching::{FolderCache, Lookup, OpenCacheError, Sharing, SweepReport, Uncommitted};
use runtime_gc::{Footprint, Size};

use crate::support::{EXCLUSIVE, Place, get, read, write};

#[tokio::test]
async fn a_shared_folder_is_found_again_at_the_same_path() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    let made = get(&cache, "a").await.unwrap();
    assert_eq!(made.lookup(), Lookup::Miss);
    let (path, created) = (made.path().to_owned(), made.created());
    drop((made, cache));

    let cache = place.open(Sharing::Shared).await;
    assert!(cache.initial_sweep().is_clean());
    assert_eq!(cache.initial_sweep().adopted, 1);
    let found = get(&cache, "a").await.unwrap();
    assert_eq!((found.lookup(), found.path()), (Lookup::Hit, &*path));
    assert_eq!(read(&found), "whole");
    let age = created.duration_since(found.created()).unwrap();
    assert!(age < Duration::from_millis(1), "it is as old as before");
}

#[tokio::test]
async fn a_folder_that_was_committed_is_found_again_and_one_that_was_not_is_removed() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    let one = get(&cache, "a").await.unwrap();
    write(one.path(), "changed").unwrap();
    one.commit().await.unwrap();
    drop((get(&cache, "b").await.unwrap(), cache));
    let report = place.collector.collect().await;
    assert_eq!(report.freed.len(), 1);

    let cache = place.open(EXCLUSIVE).await;
    assert_eq!(cache.len(), 1);
    let found = get(&cache, "a").await.unwrap();
    assert_eq!((found.lookup(), &*read(&found)), (Lookup::Hit, "changed"));
    place.collector.collect().await;
    assert_eq!(
        place.counts(),
        [0, 1, 1, 0],
        "one is lent, nothing else is left"
    );
}

#[tokio::test]
async fn all_copies_of_an_exclusive_folder_are_found_again() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    let (one, two) = (
        get(&cache, "a").await.unwrap(),
        get(&cache, "a").await.unwrap(),
    );
    assert_ne!(one.path(), two.path());
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    drop(cache);
    let cache = place.open(EXCLUSIVE).await;
    let (one, two) = (
        get(&cache, "a").await.unwrap(),
        get(&cache, "a").await.unwrap(),
    );
    assert_eq!((one.lookup(), two.lookup()), (Lookup::Hit, Lookup::Hit));
}

#[tokio::test]
async fn a_cache_that_keeps_uncommitted_folders_finds_them_again() {
    let place = Place::new();
    let keep = Sharing::Exclusive(Uncommitted::Keep);
    let cache = place.open(keep).await;
    drop((get(&cache, "a").await.unwrap(), cache));
    let cache = place.open(keep).await;
    assert_eq!(get(&cache, "a").await.unwrap().lookup(), Lookup::Hit);
}

#[tokio::test]
async fn a_second_cache_on_a_root_is_told_who_has_it() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    let error = place.try_open(Sharing::Shared).await.unwrap_err();
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
    let still = place.try_open(Sharing::Shared).await;
    assert!(
        matches!(still, Err(OpenCacheError::Locked { .. })),
        "a folder is in use"
    );
    drop(handle);
    place.open(Sharing::Shared).await;
}

#[tokio::test]
async fn a_root_of_another_version_is_left_alone() {
    let place = Place::new();
    drop(place.open(Sharing::Shared).await);
    fs::write(place.root().join("format"), "99").unwrap();
    let error = place.try_open(Sharing::Shared).await.unwrap_err();
    assert!(matches!(&error, OpenCacheError::Format { found, .. } if found == "99"));
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_root_that_cannot_be_made_is_named() {
    let place = Place::new();
    fs::write(place.root(), "a file").unwrap();
    let error = place.try_open(Sharing::Shared).await.unwrap_err();
    let root = place.root().display().to_string();
    assert!(matches!(error, OpenCacheError::Io { .. }));
    assert!(error.to_string().contains(&root), "{error}");
}

#[tokio::test]
async fn size_and_last_use_outlive_the_process() {
    let place = Place::new();
    let cache = place.open(EXCLUSIVE).await;
    for key in ["new", "old"] {
        let handle = get(&cache, key).await.unwrap();
        write(handle.path(), &"x".repeat(100_000)).unwrap();
        handle.commit().await.unwrap();
    }
    drop(cache);
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for name in place.names("index") {
        let path = place.root().join("index").join(name);
        if fs::read_to_string(&path).unwrap().contains("old") {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
    }

    let _cache = place.open(EXCLUSIVE).await;
    let explanation = place.collector.explain();
    let names: Vec<_> = explanation.resources.iter().map(|it| &*it.name).collect();
    assert_eq!(names, [r#"root: "old""#, r#"root: "new""#]);
    let Footprint {
        disk: Size::Known(bytes),
        inodes,
        ..
    } = explanation.resources[0].footprint
    else {
        panic!("the size was written down");
    };
    assert!((100_000..200_000).contains(&bytes), "{bytes}");
    assert_eq!(inodes, Size::Known(2));
}

#[tokio::test]
async fn keys_of_another_type_are_not_mistaken_for_ours() {
    let place = Place::new();
    let cache = place.open(Sharing::Shared).await;
    drop((get(&cache, "a").await.unwrap(), cache));
    let builder = FolderCache::<u32>::builder(place.root());
    let cache = builder.open(place.collector.tracker()).await.unwrap();
    let mut expected = SweepReport::default();
    (expected.unreadable, expected.unknown) = (1, 1);
    assert_eq!(*cache.initial_sweep(), expected);
    place.collector.collect().await;
    assert_eq!(place.counts(), [0, 0, 0, 0]);
}
