//! Folders, which are storages themselves.

use super::*;

/// Returns the paths of a folder, a file and a file path that a storage creates.
fn fill(storage: &TemporaryStorage) -> Vec<std::path::PathBuf> {
    let path = storage.new_file_path("path").expect("a path");
    fs::write(&path, "").expect("its folder exists");
    let folder = storage.new_folder("folder").expect("a folder");
    let file = storage.new_file("file").expect("a file");
    let paths = vec![path, folder.path().to_owned(), file.path().to_owned()];
    assert!(paths.iter().all(|path| path.exists()));
    paths
}

#[test]
fn folder_is_a_storage() {
    let (_root, storage) = storage();
    let outer = storage.new_folder("outer").expect("a folder");
    let inner = outer.new_folder("inner").expect("a folder in it");
    assert_eq!(inner.path().parent(), Some(outer.path()));
    for path in fill(&inner) {
        assert_eq!(path.parent(), Some(inner.path()));
    }
}

#[test]
fn folder_removes_everything_in_it() {
    let (_root, storage) = storage();
    let outer = storage.new_folder("outer").expect("a folder");
    let inner = outer.new_folder("inner").expect("a folder in it");
    let file = inner.new_file("file").expect("a file in it");
    outer.remove().expect("it is removed");
    assert!(!inner.path().exists() && !file.path().exists());
    // Their handles remain, and find nothing to remove.
    file.close().expect("it is gone");
    inner.remove().expect("it is gone");
}

#[test]
fn removed_folder_refuses_new_content() {
    let (_root, storage) = storage();
    let folder = storage.new_folder("task").expect("a folder");
    let inside = TemporaryStorage::clone(&folder);
    drop(folder);
    assert!(!inside.path().exists(), "a clone does not keep the folder");
    let error = inside.new_file("late").expect_err("the folder is gone");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let error = inside.new_folder("late").expect_err("the folder is gone");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn nested_handles_keep_the_process_folder() {
    let (_root, storage) = storage();
    let process_folder = storage.path().to_owned();
    let outer = storage.new_folder("outer").expect("a folder");
    let inner = outer.new_folder("inner").expect("a folder in it");
    drop((storage, outer));
    assert!(process_folder.exists(), "a nested handle is left");
    drop(inner);
    assert!(!process_folder.exists());
}

#[test]
fn folders_share_the_quota() {
    let root = tempdir().expect("a folder for the test");
    let options = StorageOptions {
        quota: Some(100),
        ..StorageOptions::default()
    };
    let storage = TemporaryStorage::open_with(root.path(), options).expect("storage opens");
    let outer = storage.new_folder("outer").expect("a folder");
    let inner = outer.new_folder("inner").expect("a folder in it");
    let held = inner.reserve(60).expect("it fits");
    let text = outer
        .reserve(41)
        .expect_err("1 byte is missing")
        .to_string();
    let named = format!("`{}`: 60 of 100 bytes", root.path().display());
    assert!(text.contains(&named), "{text}");
    drop((inner, outer));
    storage.reserve(41).expect_err("the reservation is held");
    drop(held);
    let _all = storage.reserve(100).expect("the room is free again");
}
