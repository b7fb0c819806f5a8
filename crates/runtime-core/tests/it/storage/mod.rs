//! Removal and reaping of temporary storage.

mod file;
mod folder;
mod quota;

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime_core::{StorageOptions, TemporaryStorage};
use tempfile::tempdir;
use tracing::field::Field;
use tracing::{Event, Level, Metadata, Subscriber, span};

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
fn cleanup_precedes_the_removal() {
    let root = tempdir().expect("a folder for the test");
    let open = |cleanup: &dyn Fn(&[&Path])| {
        let options = StorageOptions::default();
        TemporaryStorage::open_with_cleanup(root.path(), options, cleanup).expect("storage opens")
    };
    let _living = open(&|_| panic!("no folder is abandoned"));
    let dead = root.path().join("run-dead");
    fs::create_dir(&dead).expect("a folder of a dead process");
    let called = Cell::new(false);
    let _second = open(&|folders| {
        assert!(dead.exists());
        assert_eq!(folders, [dead.as_path()]);
        called.set(true);
    });
    assert!(called.get() && !dead.exists());
}

/// Creates a chain of folders in `folder`, from the inside out, since the path of the innermost one would be too long.
fn nest(folder: &Path, depth: usize) {
    let (chain, outer) = (folder.join("d"), folder.join("outer"));
    fs::create_dir(&chain).expect("a folder");
    for _ in 1..depth {
        fs::create_dir(&outer).expect("a folder");
        fs::rename(&chain, outer.join("d")).expect("moves");
        fs::rename(&outer, &chain).expect("moves");
    }
}

#[test]
fn deep_folders_are_removed() {
    let root = tempdir().expect("a folder for the test");
    let dead = root.path().join("run-dead");
    fs::create_dir(&dead).expect("a folder of a dead process");
    nest(&dead, 3_000);
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    assert!(!dead.exists(), "an earlier worker left it");

    let [removed, dropped] = ["removed", "dropped"].map(|name| {
        let folder = storage.new_folder(name).expect("a folder");
        nest(folder.path(), 3_000);
        folder
    });
    let path = dropped.path().to_owned();
    drop(dropped);
    assert!(!path.exists());
    removed.remove().expect("its depth does not matter");
    let run = storage.path().to_owned();
    drop(storage);
    assert!(!run.exists());
}

#[test]
fn failed_removal_is_logged() {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    let folder = storage.new_folder("task").expect("a folder");
    // A file in place of the parent: the path cannot exist, and cannot be removed either.
    fs::rename(storage.path(), root.path().join("moved")).expect("moves");
    fs::write(storage.path(), "").expect("a file");
    let warnings = Warnings::default();
    let path = folder.path().display().to_string();
    tracing::subscriber::with_default(warnings.clone(), || drop(folder));
    let warnings = warnings.0.lock().expect("no panic");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = format!("cannot remove `{path}`: ");
    assert!(warnings[0].starts_with(&expected), "{warnings:?}");
}

/// Records the errors of log events.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "error" {
                self.0.lock().expect("no panic").push(format!("{value:?}"));
            }
        });
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
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
        let refused = storage.new_file_path(name).expect_err("nor of a path");
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
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
    // The longest wait is no overflow.
    for lock_wait in [Duration::ZERO, Duration::MAX] {
        let options = StorageOptions {
            lock_wait,
            ..StorageOptions::default()
        };
        TemporaryStorage::open_with(root.path(), options).expect("nobody has the lock any more");
    }
}

fn storage() -> (tempfile::TempDir, TemporaryStorage) {
    let root = tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(root.path()).expect("storage opens");
    (root, storage)
}

#[test]
fn file_paths_are_unique_and_unused() {
    let (_root, storage) = storage();
    let paths = [(); 2].map(|()| storage.new_file_path("socket").expect("a path"));
    assert_ne!(paths[0], paths[1]);
    for path in &paths {
        assert!(!path.exists());
        assert_eq!(path.parent(), Some(storage.path()));
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(name.starts_with("socket-"), "{name}");
    }
}

#[test]
fn file_at_a_path_goes_with_the_storage() {
    let (_root, storage) = storage();
    let folder = storage.new_folder("task").expect("a folder");
    let paths = [
        storage.new_file_path("a").expect("a path"),
        folder.new_file_path("b").expect("a path"),
    ];
    for path in &paths {
        fs::write(path, "made by a program").expect("its folder exists");
    }
    drop(folder);
    assert!(paths[0].exists() && !paths[1].exists());
    drop(storage);
    assert!(!paths[0].exists());
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
