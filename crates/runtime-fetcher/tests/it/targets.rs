//! File targets: complete or absent.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use runtime_core::{ExceptionReason, error_chain};
use runtime_fetcher::{FileTarget, Target, TargetError};
use serde_json::json;

use crate::support::{Server, Step, body, context, resolve};

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("folder exists");
    entries
        .map(|entry| {
            entry
                .expect("entry is readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[tokio::test]
async fn file_appears_when_complete() {
    let folder = tempfile::tempdir().expect("disk has space");
    let path = folder.path().join("file");
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(900_000))).await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = FileTarget::new(&path);
    let fetched = reference
        .fetch(&context, &mut target)
        .await
        .expect("fetch succeeds");
    assert_eq!(fetched.bytes, 900_000);
    assert_eq!(std::fs::read(&path).expect("path exists"), body(900_000));
    assert_eq!(entries(folder.path()), ["file"]);
}

#[tokio::test]
async fn empty_file_is_created() {
    let folder = tempfile::tempdir().expect("disk has space");
    let path = folder.path().join("file");
    let context = context();
    let reference = resolve(&context, json!({ "raw": "" })).await;
    let fetched = reference.fetch(&context, &mut FileTarget::new(&path)).await;
    assert_eq!(fetched.expect("empty body is valid").bytes, 0);
    assert_eq!(std::fs::read(&path).expect("path exists"), b"");
}

#[tokio::test]
async fn failed_fetch_keeps_the_old_file() {
    let folder = tempfile::tempdir().expect("disk has space");
    let path = folder.path().join("file");
    std::fs::write(&path, "old").expect("disk has space");
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
        .expect_err("server always breaks");
    drop(target);
    assert_eq!(std::fs::read(&path).expect("path exists"), b"old");
    assert_eq!(entries(folder.path()), ["file"]);
}

#[tokio::test]
async fn dropped_fetch_leaves_nothing() {
    let folder = tempfile::tempdir().expect("disk has space");
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
        .expect_err("server stalls");
    drop(target);
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn incomplete_file_is_unnamed() {
    let folder = tempfile::tempdir().expect("disk has space");
    let mut target = FileTarget::new(folder.path().join("file"));
    target
        .write(body(700_000).into())
        .await
        .expect("disk has space");
    assert_eq!(entries(folder.path()), [""; 0]);
    target.commit().await.expect("commit succeeds");
    assert_eq!(entries(folder.path()), ["file"]);
}

#[tokio::test]
async fn wrong_announced_length_is_corrected() {
    let folder = tempfile::tempdir().expect("disk has space");
    let path = folder.path().join("file");
    for expected in [100_001, 699_999, 700_000, 5_000_000] {
        let mut target = FileTarget::new(&path);
        target.expect(expected).await.expect("disk has space");
        target
            .write(body(700_000).into())
            .await
            .expect("disk has space");
        target.commit().await.expect("commit succeeds");
        assert!(std::fs::read(&path).expect("path exists") == body(700_000));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn impossible_length_fails_at_first_write() {
    let folder = tempfile::tempdir().expect("disk has space");
    let mut target = FileTarget::new(folder.path().join("file"));
    target.expect(1 << 62).await.expect("announcement succeeds");
    let refused = target.write(body(700_000).into()).await;
    let error = refused.expect_err("disk is too small");
    assert!(
        error.to_string().contains("cannot allocate disk space for"),
        "{error}"
    );
    drop(target);
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[tokio::test]
async fn missing_folder_is_an_internal_error() {
    let folder = tempfile::tempdir().expect("disk has space");
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let context = context();
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = FileTarget::new(folder.path().join("missing/file"));
    let error = reference
        .fetch(&context, &mut target)
        .await
        .expect_err("folder is missing");
    assert_eq!(error.exception_reason(), ExceptionReason::InternalError);
    assert!(!error.is_transient());
}

/// A target that cannot be reset after a write.
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
            Err(TargetError::Receiver("reset is unsupported".into()))
        }
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.committed = true;
        Ok(())
    }
}

#[tokio::test]
async fn failed_reset_ends_the_fetch() {
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
        .expect_err("target cannot be reset");
    assert!(
        matches!(error, runtime_fetcher::FetchError::Target { .. }),
        "{error:?}"
    );
    assert_eq!(target.bytes, b"hello", "bytes of a single attempt");
    assert!(!target.committed);
}

/// A target on a full disk.
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
async fn full_disk_is_resource_unavailable() {
    let context = context();
    let reference = resolve(&context, json!({ "raw": "hello" })).await;
    let error = reference.fetch(&context, &mut Full).await;
    let error = error.expect_err("disk is too small");
    let reason = error.exception_reason();
    assert_eq!(reason, ExceptionReason::ResourceUnavailable);
    assert!(!error.is_transient(), "no collector frees space");
    let text = error_chain(&error);
    assert!(text.contains("cannot write `/full/file`"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn file_permissions_follow_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("disk has space");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "x").expect("disk has space");
    let path = folder.path().join("file");
    let mut target = FileTarget::new(&path);
    target.commit().await.expect("disk has space");
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("path exists")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&path), mode(&plain));
}
