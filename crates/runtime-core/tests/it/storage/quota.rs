//! Reservations against the quota and the free disk space.

#[cfg(unix)]
use runtime_core::ReserveStorageError;

use super::*;

fn with_quota(quota: u64) -> (tempfile::TempDir, TemporaryStorage) {
    let root = tempdir().expect("a folder for the test");
    let options = StorageOptions {
        quota: Some(quota),
        ..StorageOptions::default()
    };
    let storage = TemporaryStorage::open_with(root.path(), options).expect("storage opens");
    (root, storage)
}

#[test]
fn quota_is_enforced() {
    let (root, storage) = with_quota(100);
    let first = storage.reserve(60).expect("it fits");
    let error = storage.reserve(41).expect_err("1 byte is missing");
    let text = error.to_string();
    for part in [
        "41 bytes",
        "60 of 100 bytes",
        &root.path().display().to_string(),
        "raise the quota",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let _second = storage.reserve(40).expect("it fits exactly");
    drop(first);
    let _third = storage.clone().reserve(60).expect("the room is free again");
}

#[test]
fn written_bytes_count_until_release() {
    let (_root, storage) = with_quota(100);
    let mut held = storage.reserve(100).expect("it fits");
    held.record_written(1_000);
    assert_eq!(held.bytes(), 100);
    storage.reserve(1).expect_err("the files are still there");
    drop(held);
    let _all = storage.reserve(100).expect("they are gone");
}

#[cfg(unix)]
#[test]
fn reservation_beyond_free_space_is_refused() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    let error = storage
        .reserve(u64::MAX)
        .expect_err("there is no such disk");
    assert!(
        matches!(error, ReserveStorageError::Disk { unwritten: 0, .. }),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn free_space_is_reserved_once() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    let Err(ReserveStorageError::Disk { free, .. }) = storage.reserve(u64::MAX) else {
        panic!("there is no such disk");
    };
    // Others use the disk as well, but hardly a quarter of its free space.
    let most = free / 4 * 3;
    let first = storage.reserve(most).expect("it is free");
    let error = storage.reserve(most).expect_err("it is promised");
    assert!(
        matches!(error, ReserveStorageError::Disk { unwritten, .. } if unwritten == most),
        "{error}"
    );
    drop(first);
    let _second = storage.reserve(most).expect("it is free again");
}

#[cfg(unix)]
#[test]
fn unwritten_reservation_is_not_free() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    let mut first = storage.reserve(1 << 20).expect("a disk has a MiB");
    let awaited = || match storage.reserve(u64::MAX) {
        Err(ReserveStorageError::Disk { unwritten, .. }) => unwritten,
        other => panic!("{other:?}"),
    };
    assert_eq!(awaited(), 1 << 20);
    first.record_written(1 << 19);
    assert_eq!(awaited(), 1 << 19);
    drop(first);
    assert_eq!(awaited(), 0);
}
