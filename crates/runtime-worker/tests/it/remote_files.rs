//! Artifacts of an engine whose files are elsewhere, and which fails.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, TaskError};
use runtime_worker::plugins::{Artifacts, TaskLog};
use runtime_worker::{
    Engine, Exit, ExtractError, RemoteFile, ResultSet, Sandbox, SandboxBuilder, TaskFile, TaskRun,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::support::TestBed;

/// An engine whose tasks succeed at once. The names of their files tell how these fail. It knows the folder of the worker.
#[derive(Debug)]
struct RemoteEngine(PathBuf);

#[async_trait]
impl Engine for RemoteEngine {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn payload_schema(&self) -> Value {
        json!({ "type": "object", "properties": {} })
    }

    async fn new_sandbox_builder(&self, _: &TaskRun) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        Ok(Box::new(RemoteTask(self.0.clone())))
    }
}

#[derive(Clone)]
struct RemoteTask(PathBuf);

#[async_trait]
impl SandboxBuilder for RemoteTask {
    fn set_env(&mut self, _: &str, _: &str) -> Result<(), MalformedPayloadError> {
        Ok(())
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl Sandbox for RemoteTask {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        Ok(Arc::new(self.clone()))
    }

    async fn kill(&self, _: Duration) {}
}

#[async_trait]
impl ResultSet for RemoteTask {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        let path = path.to_owned();
        Err(ExtractError::NotLocal { path })
    }

    async fn open_file(&self, path: &str) -> Result<TaskFile, ExtractError> {
        let path = path.to_owned();
        if path == "unreachable" {
            let source = "the machine does not answer".into();
            return Err(ExtractError::Failed { path, source });
        }
        let folder = self.0.clone();
        Ok(TaskFile::Remote(Arc::new(FileNamed(path, folder))))
    }
}

struct FileNamed(String, PathBuf);

#[async_trait]
impl RemoteFile for FileNamed {
    async fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        match self.0.as_str() {
            "removed" => Err(io::ErrorKind::NotFound.into()),
            "secret" => Err(io::ErrorKind::PermissionDenied.into()),
            "folder" => Err(io::ErrorKind::IsADirectory.into()),
            "lost" => Err(io::ErrorKind::ConnectionReset.into()),
            "uncopied" => Ok(Box::new(RemovedCopies(self.1.clone()))),
            "broken" => Ok(Box::new(b"start".chain(LostConnection))),
            _ => Ok(Box::new(&b"content"[..])),
        }
    }
}

struct LostConnection;

impl AsyncRead for LostConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

/// An empty file, whose copy is missing once it was read.
struct RemovedCopies(PathBuf);

impl AsyncRead for RemovedCopies {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(remove_copies(&self.0))
    }
}

fn remove_copies(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_copies(&entry.path())?;
        } else if entry.file_name().to_string_lossy().starts_with("artifact") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Runs a task with the artifacts `public/good` and `public/PATH`. Returns its id, state and log.
async fn run(bed: &TestBed, path: &str, quota: Option<u64>) -> (String, String, String) {
    run_artifacts(bed, json!([artifact(path), artifact("good")]), quota).await
}

fn artifact(path: &str) -> Value {
    json!({ "name": format!("public/{path}"), "type": "file", "path": path })
}

async fn run_artifacts(
    bed: &TestBed,
    artifacts: Value,
    quota: Option<u64>,
) -> (String, String, String) {
    let task_id = bed.create(json!({ "artifacts": artifacts }));
    let engine = RemoteEngine(bed.folder.path().to_owned());
    let worker = bed.worker_with_engine_and_quota(Arc::new(engine), quota);
    let worker = worker.plugin(TaskLog::new()).plugin(Artifacts::default());
    let running = bed.start(worker);
    let state = bed.resolved(&task_id).await.state_and_reason();
    running.stop().await;
    bed.assert_no_leftovers();
    let log = bed.log(&task_id).await;
    (task_id, state, log)
}

#[tokio::test]
async fn files_that_the_task_does_not_have_fail_it() {
    for path in ["removed", "secret", "folder"] {
        let bed = TestBed::new().await;
        let (task_id, state, log) = run(&bed, path, None).await;
        assert_eq!(state, "failed", "{path}: {log}");
        assert!(
            log.contains(&format!("Artifact `public/{path}`: ")),
            "{log}"
        );
        assert_eq!(bed.text(&task_id, "public/good").await, "content");
    }
}

#[tokio::test]
async fn optional_file_may_be_missing_at_its_copy() {
    for (path, expected) in [("removed", "completed"), ("secret", "failed")] {
        let bed = TestBed::new().await;
        let mut optional = artifact(path);
        optional["optional"] = json!(true);
        let artifacts = json!([optional, artifact("good")]);
        let (task_id, state, log) = run_artifacts(&bed, artifacts, None).await;
        assert_eq!(state, expected, "{log}");
        let line = "Optional artifact `public/removed` does not exist";
        assert_eq!(log.contains(line), path == "removed", "{log}");
        assert_eq!(bed.text(&task_id, "public/good").await, "content");
        let names = bed.taskcluster.artifacts(&task_id, 0).unwrap();
        let has_artifact = names.iter().any(|it| it.name == format!("public/{path}"));
        assert_eq!(has_artifact, expected == "failed");
    }
}

#[tokio::test]
async fn lost_copy_is_not_the_fault_of_the_task() {
    let bed = TestBed::new().await;
    let (task_id, state, log) = run_artifacts(&bed, json!([artifact("uncopied")]), None).await;
    assert_eq!(state, "exception/resource-unavailable", "{log}");
    assert!(log.contains("Cannot upload `public/uncopied`: "), "{log}");
    let names = bed.taskcluster.artifacts(&task_id, 0).unwrap();
    assert!(!names.iter().any(|it| it.name == "public/uncopied"));
}

#[tokio::test]
async fn failures_of_the_engine_are_not_the_task_s() {
    for (path, message) in [
        ("lost", "the engine cannot open the file: connection reset"),
        (
            "broken",
            "cannot copy the file from the engine to the storage of the worker: connection reset",
        ),
        (
            "unreachable",
            "the engine cannot read `unreachable`: the machine does not answer",
        ),
    ] {
        let bed = TestBed::new().await;
        let (task_id, state, log) = run(&bed, path, None).await;
        assert_eq!(state, "exception/resource-unavailable", "{path}: {log}");
        let line = format!("Artifact `public/{path}`: {message}");
        assert!(log.contains(&line), "{line}: {log}");
        assert_eq!(bed.text(&task_id, "public/good").await, "content");
        let reports = bed.reports();
        let uploaded = reports.iter().flat_map(|report| &report.artifacts);
        assert!(!uploaded.into_iter().any(|name| name.ends_with(path)));
    }
}

#[tokio::test]
async fn full_storage_is_not_the_fault_of_the_task() {
    let bed = TestBed::new().await;
    let (_, state, log) = run(&bed, "other", Some(1 << 20)).await;
    assert_eq!(state, "exception/resource-unavailable", "{log}");
    let line = "Artifact `public/other`: cannot copy the file to the storage of the worker: ";
    assert!(log.contains(line), "{log}");
}
