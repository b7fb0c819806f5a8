//! Files: blocking, async, closed and dropped.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use super::*;

#[test]
fn blocking_file_reads_writes_and_seeks() {
    let (_root, storage) = storage();
    let mut file = storage.new_file("log").expect("a file");
    file.write_all(b"0123456789").expect("it takes bytes");
    file.flush().expect("it takes bytes");
    assert_eq!(fs::read(file.path()).expect("it reads"), b"0123456789");
    assert_eq!(file.seek(SeekFrom::Start(7)).expect("it seeks"), 7);
    let mut end = String::new();
    file.read_to_string(&mut end).expect("it reads");
    assert_eq!(end, "789");
}

#[test]
fn set_len_truncates_and_extends() {
    let (_root, storage) = storage();
    let mut file = storage.new_file("log").expect("a file");
    file.write_all(b"0123").expect("it takes bytes");
    file.set_len(2).expect("it is truncated");
    assert_eq!(fs::read(file.path()).expect("it reads"), b"01");
    file.set_len(3).expect("it is extended");
    assert_eq!(fs::read(file.path()).expect("it reads"), b"01\0");
}

#[tokio::test]
async fn async_file_reads_writes_and_seeks() {
    use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

    let (_root, storage) = storage();
    let mut file = storage.new_file("log").expect("a file");
    std::io::Write::write_all(&mut file, b"0123").expect("it takes bytes");
    let mut file = file.into_async();
    AsyncWriteExt::write_all(&mut file, b"456789")
        .await
        .expect("it takes bytes");
    file.set_len(9).await.expect("it is truncated");
    assert_eq!(fs::read(file.path()).expect("it reads"), b"012345678");
    let position = AsyncSeekExt::seek(&mut file, SeekFrom::End(-3)).await;
    assert_eq!(position.expect("it seeks"), 6);
    let mut end = String::new();
    AsyncReadExt::read_to_string(&mut file, &mut end)
        .await
        .expect("it reads");
    assert_eq!(end, "678");
    AsyncWriteExt::shutdown(&mut file)
        .await
        .expect("it is written");
}

#[test]
fn reopened_file_reads_and_writes() {
    let (_root, storage) = storage();
    let mut file = storage.new_file("log").expect("a file");
    let mut again = file.open().expect("it opens again");
    again.write_all(b"hello").expect("it takes bytes");
    again.rewind().expect("it seeks");
    let mut text = String::new();
    again.read_to_string(&mut text).expect("it reads");
    assert_eq!(text, "hello");
    // Each handle has its own position.
    text.clear();
    file.read_to_string(&mut text).expect("it reads");
    assert_eq!(text, "hello");
    let path = file.path().to_owned();
    drop(again);
    assert!(path.exists(), "only the file itself removes it");
}

#[tokio::test]
async fn close_removes_the_file() {
    let (_root, storage) = storage();
    let file = storage.new_file("log").expect("a file");
    let path = file.path().to_owned();
    file.close().expect("it is removed");
    assert!(!path.exists());

    let mut file = storage.new_file("log").expect("a file").into_async();
    let path = file.path().to_owned();
    tokio::io::AsyncWriteExt::write_all(&mut file, b"written behind")
        .await
        .expect("it takes bytes");
    file.close().await.expect("it is removed");
    assert!(!path.exists());
}

#[tokio::test]
async fn dropped_async_file_is_removed() {
    let (_root, storage) = storage();
    let file = storage.new_file("log").expect("a file").into_async();
    let path = file.path().to_owned();
    drop(file);
    assert!(!path.exists());
}

#[test]
fn moved_file_is_kept() {
    let (root, storage) = storage();
    let mut file = storage.new_file("log").expect("a file");
    file.write_all(b"kept").expect("it takes bytes");
    let kept = root.path().join("kept");
    fs::rename(file.path(), &kept).expect("the same disk");
    file.close().expect("nothing is left to remove");
    assert_eq!(fs::read(kept).expect("it reads"), b"kept");
}

/// The folder of the files is replaced by a file, so that the removal fails even for a test that runs as
/// root.
#[cfg(unix)]
#[tokio::test]
async fn close_reports_a_failed_removal() {
    let (_root, storage) = storage();
    let folder = storage.new_folder("task").expect("a folder");
    let blocking = folder.new_file("log").expect("a file");
    let asynchronous = folder.new_file("log").expect("a file").into_async();
    fs::remove_dir_all(folder.path()).expect("it is removed");
    fs::write(folder.path(), "").expect("a file in its place");
    let error = blocking.close().expect_err("its path leads nowhere");
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
    let error = asynchronous.close().await;
    let error = error.expect_err("its path leads nowhere");
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
}
