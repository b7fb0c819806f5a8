//! Removal, reaping and reservations of temporary storage.

use std::fs;
use std::time::Duration;

use runtime_core::{StorageOptions, TemporaryStorage};
use tempfile::tempdir;

#[test]
fn drop_removes_folders_and_files() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    let folder = storage.new_folder("task").expect("a folder");
    let file = storage.new_file("log").expect("a file");
    let paths = [folder.path().to_owned(), file.path().to_owned()];
    assert!(paths.iter().all(|path| path.exists()));

    drop((folder, file));
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn last_user_removes_the_process_folder() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    let run = storage.path().to_owned();
    let folder = storage.new_folder("task").expect("a folder");
    drop(storage);
    assert!(run.exists(), "a folder of the storage is still in use");
    drop(folder);
    assert!(!run.exists());
}

#[test]
fn only_abandoned_process_folders_are_reaped() {
    let root = tempdir().expect("a folder for the test");
    let living = TemporaryStorage::open(root.path()).expect("storage opens");
    let dead = root.path().join("run-dead");
    fs::create_dir_all(dead.join("task/deep")).expect("a folder of a dead process");
    fs::write(dead.join(".lock"), "").expect("its lock, which nobody holds");

    let half_removed = root.path().join("run-half-removed");
    fs::create_dir(&half_removed).expect("a folder whose lock is gone");
    let foreign = root.path().join("mounts");
    fs::create_dir(&foreign).expect("a folder of somebody else");

    let _second = TemporaryStorage::open(root.path()).expect("a second storage on the same root");
    assert!(!dead.exists() && !half_removed.exists());
    assert!(living.path().exists() && foreign.exists());
}

#[test]
fn file_as_root_is_refused() {
    let root = tempdir().expect("a folder for the test");
    let path = root.path().join("file");
    fs::write(&path, "").expect("a file");
    let error = TemporaryStorage::open(&path).expect_err("a file is no folder");
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
}

#[test]
fn path_separators_in_names_are_refused() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    for name in ["../out", "/etc/x", "a/b", r"..\out", "a\0b"] {
        let refused = storage
            .new_folder(name)
            .expect_err("it is no part of a name");
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
        storage.new_file(name).expect_err("it is no part of a name");
    }
}

#[test]
fn locked_root_times_out() {
    let root = tempdir().expect("a folder for the test");
    let lock = fs::File::create(root.path().join(".lock")).expect("the lock of the root");
    lock.lock().expect("nobody else has it");
    let options = StorageOptions {
        lock_wait: Duration::ZERO,
        ..StorageOptions::default()
    };
    let error = TemporaryStorage::open_with(root.path(), options).expect_err("it is locked");
    let text = error.to_string();
    assert!(
        text.contains(&root.path().join(".lock").display().to_string()),
        "{text}"
    );
    assert!(text.contains("choose another folder"), "{text}");

    drop(lock);
    TemporaryStorage::open_with(root.path(), options).expect("nobody has the lock any more");
}

mod room {
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
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn folders_and_files_are_private() {
        let root = tempdir().expect("a folder for the test");
        let storage = TemporaryStorage::open(root.path()).expect("storage opens");
        let folder = storage.new_folder("task").expect("a folder");
        let file = storage.new_file("log").expect("a file");
        for (path, expected) in [
            (folder.path(), 0o700),
            (storage.path(), 0o700),
            (file.path(), 0o600),
        ] {
            let mode = fs::metadata(path).expect("it exists").permissions().mode();
            assert_eq!(mode & 0o777, expected, "{}", path.display());
        }
    }

    #[test]
    fn read_only_folders_are_removed() {
        let root = tempdir().expect("a folder for the test");
        let storage = TemporaryStorage::open(root.path()).expect("storage opens");
        let folder = storage.new_folder("task").expect("a folder");
        let path = folder.path().to_owned();
        fs::create_dir_all(path.join("a/b")).expect("folders");
        fs::write(path.join("a/b/file"), "").expect("a file");
        for part in ["a/b", "a"] {
            fs::set_permissions(path.join(part), fs::Permissions::from_mode(0o500)).expect("chmod");
        }

        folder.remove().expect("it is removed");
        assert!(!path.exists());
    }

    #[test]
    fn links_are_removed_not_followed() {
        let root = tempdir().expect("a folder for the test");
        let outside = tempdir().expect("a folder outside");
        fs::write(outside.path().join("precious"), "").expect("a file outside");
        let storage = TemporaryStorage::open(root.path()).expect("storage opens");
        let folder = storage.new_folder("task").expect("a folder");
        symlink(outside.path(), folder.path().join("link")).expect("a link");

        folder.remove().expect("it is removed");
        assert!(outside.path().join("precious").exists());
    }
}
