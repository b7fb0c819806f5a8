//! Construction and removal of folders.

use std::fs;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_caching::{
    FolderCache, FolderConstruction, FolderLookup, LookupOutcome, NewFolder, RequireError, Sharing,
};
use runtime_core::error_chain;
use runtime_gc::Size;
use tokio::sync::Semaphore;

use super::support::{EXCLUSIVE, Fixture, fill, get, nest, read, settle_until, write};

#[tokio::test]
async fn failure_leaves_nothing_on_disk() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let fail = |folder: NewFolder| async move {
        write(folder.path(), "half")?;
        Err::<(), _>(io::Error::other("no network"))
    };
    let error = cache.require(&"a".to_owned(), fail).await.unwrap_err();
    assert_eq!(
        error.cause::<io::Error>().unwrap().to_string(),
        "no network"
    );
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn panic_leaves_nothing_on_disk() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let panic = |folder: NewFolder| async move {
        write(folder.path(), "half")?;
        panic!("no {}", "way");
        #[expect(unreachable_code, reason = "determines the type")]
        io::Result::Ok(())
    };
    let error = cache.require(&"a".to_owned(), panic).await.unwrap_err();
    assert!(matches!(error, RequireError::Panicked { message, .. } if &*message == "no way"));
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn abandoned_construction_is_removed() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let hang = |folder: NewFolder| async move {
        write(folder.path(), "half")?;
        std::future::pending::<io::Result<()>>().await
    };
    let waiter = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.require(&"a".to_owned(), hang).await.map(drop) })
    };
    settle_until(|| !fixture.names("folders").is_empty()).await;
    waiter.abort();
    settle_until(|| cache.is_empty() && fixture.names("folders").is_empty()).await;
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn missing_root_is_named_in_error() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    fs::remove_dir_all(fixture.root()).unwrap();
    let error = get(&cache, "a").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(
        source.to_string().starts_with("cannot create the folder `"),
        "{source}"
    );
    assert!(cache.is_empty());
}

#[tokio::test]
async fn failed_commit_removes_the_folder() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    let handle = get(&cache, "a").await.unwrap();
    let path = handle.path().display().to_string();
    fs::remove_dir(fixture.root().join("index")).unwrap();
    let error = handle.commit().await.unwrap_err();
    assert!(error.to_string().contains(&path), "{error}");
    assert!(cache.is_empty());
    fixture.collector.collect().await;
    assert!(fixture.names("folders").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_fill_one_folder() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let (permits, fills) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (cache, permits, fills) = (cache.clone(), Arc::clone(&permits), Arc::clone(&fills));
            let fill = move |folder| {
                let (permits, fills) = (Arc::clone(&permits), Arc::clone(&fills));
                async move {
                    fills.fetch_add(1, Ordering::SeqCst);
                    let _permit = permits.acquire().await;
                    fill(folder).await
                }
            };
            tokio::spawn(async move { cache.require(&"a".to_owned(), fill).await.map(drop) })
        })
        .collect();
    permits.add_permits(1);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(
        (fills.load(Ordering::SeqCst), fixture.counts()),
        (1, [1, 0, 1, 0])
    );
}

#[cfg(unix)]
#[tokio::test]
async fn folder_is_private_to_its_user() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let handle = get(&cache, "a").await.unwrap();
    let mode = fs::metadata(handle.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[cfg(unix)]
#[tokio::test]
async fn read_only_folders_and_links_are_removed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let fixture = Fixture::new();
    let outside = fixture.root().with_file_name("outside");
    fs::write(&outside, "precious").unwrap();
    let cache = fixture.open(EXCLUSIVE).await;
    let handle = get(&cache, "a").await.unwrap();
    let deep = handle.path().join("deep/deeper");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "x").unwrap();
    symlink(&outside, deep.join("link")).unwrap();
    for folder in [&*deep, deep.parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
    }
    handle.poison();
    let report = fixture.collector.collect().await;
    assert_eq!(
        (report.freed.len(), report.failed.len()),
        (1, 0),
        "{report}"
    );
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
    assert_eq!(fs::read_to_string(outside).unwrap(), "precious");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn deep_folder_is_measured_and_removed() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    let handle = get(&cache, "a").await.unwrap();
    nest(handle.path(), 3_000).unwrap();
    handle.commit().await.unwrap();
    let plan = fixture.collector.explain();
    // The folder, its file and the chain.
    assert_eq!(plan.resources[0].footprint.inodes, Size::Known(3_002));
    assert_eq!(cache.purge_all(), 1);
    let report = fixture.collector.collect().await;
    let (freed, failed) = (report.freed.len(), report.failed.len());
    assert_eq!((freed, failed), (1, 0), "{report}");
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn disk_full_is_distinguished() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    for (kind, is_disk_full) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::PermissionDenied, false),
    ] {
        let fail = move |_: NewFolder| ready(Err::<(), _>(io::Error::from(kind)));
        let error = cache.require(&"a".to_owned(), fail).await.unwrap_err();
        assert_eq!(error.is_disk_full(), is_disk_full, "{kind}");
    }
}

#[tokio::test]
async fn first_caller_fills_for_those_who_joined() {
    let fixture = Fixture::new();
    let (cache, key) = (fixture.open(Sharing::Shared).await, "a".to_owned());
    let FolderLookup::New(construction) = cache.begin(&key) else {
        panic!("the cache is empty");
    };
    let FolderLookup::Joined(joined) = cache.begin(&key) else {
        panic!("the construction has begun");
    };
    let folder = construction.folder().clone();
    drop(construction.spawn(fill(folder)));
    let handle = joined.wait(|_| {}).await.unwrap().unwrap();
    assert_eq!(
        (handle.lookup(), read(&handle).as_str()),
        (LookupOutcome::Joined, "whole")
    );
    assert!(matches!(cache.begin(&key), FolderLookup::Hit(hit) if hit.path() == handle.path()));
}

#[tokio::test]
async fn dropped_construction_fails_waiters() {
    let fixture = Fixture::new();
    let (cache, key) = (fixture.open(Sharing::Shared).await, "a".to_owned());
    let construction = cache.begin(&key);
    let FolderLookup::Joined(joined) = cache.begin(&key) else {
        panic!("the construction has begun");
    };
    drop(construction);
    joined.wait(|_| {}).await.unwrap_err();
    assert!(cache.is_empty());
    assert_eq!(fixture.counts(), [0, 0, 0, 0]);
}

/// Begins a construction from a source that no other request uses.
fn begin_from(cache: &FolderCache<String>, source: &str) -> FolderConstruction<String> {
    match cache.begin_from(&"a".to_owned(), source) {
        FolderLookup::New(construction) => construction,
        other => panic!("another source has begun: {other:?}"),
    }
}

#[tokio::test]
async fn failure_of_one_source_is_not_shared() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let (bad, good) = (begin_from(&cache, "bad"), begin_from(&cache, "good"));
    let FolderLookup::Joined(joined) = cache.begin_from(&"a".to_owned(), "bad") else {
        panic!("the construction has begun");
    };
    let bad = bad.spawn(ready(Err::<(), _>("no such file")));
    let folder = good.folder().clone();
    let good = good.spawn(fill(folder));
    for waiter in [bad, joined] {
        let error = waiter.wait(|_| {}).await.unwrap_err();
        assert!(error_chain(&error).contains("no such file"), "{error:?}");
    }
    let handle = good.wait(|_| {}).await.unwrap().unwrap();
    assert_eq!(read(&handle), "whole");
    assert_eq!(cache.len(), 1);
}

#[tokio::test]
async fn faster_source_serves_later_requests() {
    let fixture = Fixture::new();
    let cache = fixture.open(Sharing::Shared).await;
    let (slow, fast) = (begin_from(&cache, "slow"), begin_from(&cache, "fast"));
    let slow_folder = slow.folder().clone();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let slow = slow.spawn(async move {
        wait.await.expect("the test has not ended");
        fill(slow_folder).await
    });
    let folder = fast.folder().clone();
    let fast = fast
        .spawn(fill(folder))
        .wait(|_| {})
        .await
        .unwrap()
        .unwrap();
    let FolderLookup::Hit(hit) = cache.begin_from(&"a".to_owned(), "slow") else {
        panic!("the cache has the folder");
    };
    assert_eq!(hit.path(), fast.path());
    go.send(()).expect("the construction waits");
    // The copy of the slow source is for those who waited for it, and then removed.
    let slow = slow.wait(|_| {}).await.unwrap().unwrap();
    assert_eq!(read(&slow), "whole");
    assert_ne!(slow.path(), fast.path());
    assert_eq!(cache.len(), 1);
    drop(slow);
    fixture.collector.collect().await;
    assert_eq!(fixture.counts(), [1, 0, 1, 0]);
}
