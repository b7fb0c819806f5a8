//! Files: whole or not at all, and nothing left behind.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use runtime_core::{ExceptionReason, error_chain};
use runtime_fetcher::{FileTarget, Target, TargetError};
use serde_json::json;

use crate::support::{Server, Step, body, context, resolve};

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    entries
        .map(|entry| {
            entry
                .expect("it is readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_file_appears_only_when_it_is_complete() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("file");
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(900_000))).await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = FileTarget::new(&path);
    let fetched = reference
        .fetch(&context, &mut target)
        .await
        .expect("it is there");
    assert_eq!(fetched.bytes, 900_000);
    assert_eq!(std::fs::read(&path).expect("it is there"), body(900_000));
    assert_eq!(entries(folder.path()), ["file"]);
}

#[tokio::test]
async fn a_file_may_be_empty() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("file");
    let context = context();
    let reference = resolve(&context, json!({ "raw": "" })).await;
    let fetched = reference.fetch(&context, &mut FileTarget::new(&path)).await;
    assert_eq!(fetched.expect("nothing is something").bytes, 0);
    assert_eq!(std::fs::read(&path).expect("it is there"), b"");
}

#[tokio::test]
async fn a_failed_fetch_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("file");
    std::fs::write(&path, "old").expect("there is room");
    let server = Server::start(|_| {
        vec![
            Step::head("200 OK", &[("Content-Length", "1000000")]),
            Step::Send(body(700_000)),
            Step::Close,
        ]
    })
    .await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = FileTarget::new(&path);
    reference
        .fetch(&context, &mut target)
        .await
        .expect_err("it never comes whole");
    drop(target);
    assert_eq!(std::fs::read(&path).expect("it is there"), b"old");
    assert_eq!(entries(folder.path()), ["file"]);
}

#[tokio::test]
async fn a_dropped_fetch_leaves_nothing() {
    let folder = tempfile::tempdir().expect("there is room");
    let server = Server::start(|_| {
        let head = Step::head("200 OK", &[("Content-Length", "1000000")]);
        vec![head, Step::Send(body(700_000)), Step::Stall]
    })
    .await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = FileTarget::new(folder.path().join("file"));
    let fetch = reference.fetch(&context, &mut target);
    tokio::time::timeout(Duration::from_millis(100), fetch)
        .await
        .expect_err("it stalls");
    drop(target);
    assert_eq!(entries(folder.path()), [""; 0]);
}

/// So that nothing is left even when the worker is killed.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_not_complete_has_no_name() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut target = FileTarget::new(folder.path().join("file"));
    target
        .write(body(700_000).into())
        .await
        .expect("there is room");
    assert_eq!(entries(folder.path()), [""; 0]);
    target.commit().await.expect("it is complete");
    assert_eq!(entries(folder.path()), ["file"]);
}

#[tokio::test]
async fn a_file_is_as_long_as_what_came_whatever_was_expected() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("file");
    for expected in [100_001, 699_999, 700_000, 5_000_000] {
        let mut target = FileTarget::new(&path);
        target.expect(expected).await.expect("there is room");
        target
            .write(body(700_000).into())
            .await
            .expect("there is room");
        target.commit().await.expect("it is complete");
        assert!(std::fs::read(&path).expect("it is there") == body(700_000));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn more_bytes_than_any_disk_has_are_refused_with_the_first() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut target = FileTarget::new(folder.path().join("file"));
    target.expect(1 << 62).await.expect("it is only told");
    let refused = target.write(body(700_000).into()).await;
    let error = refused.expect_err("there is no room");
    assert!(
        error
            .to_string()
            .contains("cannot take room for all bytes of"),
        "{error}"
    );
    drop(target);
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_the_workers_fault() {
    let folder = tempfile::tempdir().expect("there is room");
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = FileTarget::new(folder.path().join("missing/file"));
    let error = reference
        .fetch(&context, &mut target)
        .await
        .expect_err("there is no folder");
    assert_eq!(error.exception_reason(), ExceptionReason::InternalError);
    assert!(!error.is_transient());
}

/// A target that cannot forget.
#[derive(Default)]
struct Stubborn {
    bytes: Vec<u8>,
    committed: bool,
}

#[async_trait]
impl Target for Stubborn {
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(TargetError::Receiver("no way back".into()))
        }
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.committed = true;
        Ok(())
    }
}

#[tokio::test]
async fn a_reset_that_fails_ends_the_fetch() {
    let server = Server::start(|_| {
        vec![
            Step::head("200 OK", &[("Content-Length", "10")]),
            Step::text("hello"),
            Step::Close,
        ]
    })
    .await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = Stubborn::default();
    let error = reference
        .fetch(&context, &mut target)
        .await
        .expect_err("it cannot start over");
    assert!(
        matches!(error, runtime_fetcher::FetchError::Target { .. }),
        "{error:?}"
    );
    assert_eq!(
        target.bytes, b"hello",
        "the bytes of one attempt and no more"
    );
    assert!(!target.committed);
}

/// A target on a disk that is full.
struct Full;

#[async_trait]
impl Target for Full {
    async fn write(&mut self, _: Bytes) -> Result<(), TargetError> {
        Err(TargetError::Io {
            action: "write",
            path: "/full/file".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        })
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        unreachable!("nothing was written")
    }
}

#[tokio::test]
async fn a_full_disk_is_a_resource_that_is_not_there() {
    let context = context();
    let reference = resolve(&context, json!({ "raw": "hello" })).await;
    let error = reference.fetch(&context, &mut Full).await;
    let error = error.expect_err("there is no room");
    let reason = error.exception_reason();
    assert_eq!(reason, ExceptionReason::ResourceUnavailable);
    assert!(!error.is_transient(), "nobody makes room");
    let text = error_chain(&error);
    assert!(text.contains("cannot write `/full/file`"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("there is room");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "x").expect("there is room");
    let path = folder.path().join("file");
    let mut target = FileTarget::new(&path);
    target.commit().await.expect("there is room");
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&path), mode(&plain));
}
