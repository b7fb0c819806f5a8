//! An engine that runs the steps of a suite in memory.

mod memory_files;
mod run;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_core::artifact::list_folder;
use runtime_core::{MalformedPayloadError, TaskError};
use runtime_worker::{
    Capability, Engine, Exit, ExtractError, FolderWalk, RemoteFile, ResultSet, Sandbox,
    SandboxBuilder, TaskFile, TaskRun,
};
use serde_json::{Value, json};
use tokio::io::AsyncRead;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use self::memory_files::{MemoryFiles, Node, relative};
use self::run::run_steps;
use crate::conformance::script::Step;

/// An engine whose tasks run in memory: for tests of plugins, and of workers with an engine that is on another machine.
///
/// The payload is a list of [`Step`](crate::conformance::Step)s in `steps`. The files of a task are never on the disk
/// of this machine, so artifacts are read as streams. It supports environment variables and copies, and refuses other
/// capabilities.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_core::{Environment, TemporaryStorage, WorkerIdentity};
/// use runtime_mocks::{MockEngine, TestTask};
/// use runtime_worker::{Engine, TaskRun};
/// use serde_json::json;
///
/// # let folder = tempfile::tempdir()?;
/// # let identity = WorkerIdentity {
/// #     root_url: "https://tc.example.com".into(),
/// #     task_queue_id: "test/worker".into(),
/// #     worker_group: "group".into(),
/// #     worker_id: "worker".into(),
/// # };
/// # let environment = Environment::builder(identity, TemporaryStorage::open(folder.path())?).build();
/// let task = TestTask::new(json!({ "steps": [{ "print": "hello" }, { "exit": 3 }] }));
/// let run = TaskRun::new(task.context().clone(), environment);
/// let sandbox = MockEngine.new_sandbox_builder(&run).await?.start().await?;
/// assert_eq!(sandbox.wait().await?.exit().code(), Some(3));
/// assert!(task.log().contains("hello\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MockEngine;

#[async_trait]
impl Engine for MockEngine {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn payload_schema(&self) -> Value {
        json!({
            "type": "object",
            "properties": { "steps": { "type": "array", "items": { "type": ["object", "string"] } } },
        })
    }

    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        steps_of(payload).map(drop)
    }

    fn capabilities(&self) -> &[Capability] {
        &[Capability::EnvVars, Capability::Copies]
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        Ok(Box::new(MockBuilder {
            run: run.clone(),
            steps: steps_of(run.payload())?,
            env: BTreeMap::new(),
            copies: Vec::new(),
        }))
    }
}

fn steps_of(payload: &Value) -> Result<Vec<Step>, MalformedPayloadError> {
    let steps = match payload.get("steps") {
        Some(steps) => serde_json::from_value(steps.clone()),
        None if payload.is_object() => Ok(Vec::new()),
        None => return Err(MalformedPayloadError::new("`payload`: expected an object")),
    };
    steps.map_err(|error| MalformedPayloadError::new(format!("`payload.steps`: {error}")))
}

struct MockBuilder {
    run: TaskRun,
    steps: Vec<Step>,
    env: BTreeMap<String, String>,
    /// Files and folders of this machine, and their paths in the task.
    copies: Vec<(PathBuf, Vec<String>)>,
}

#[async_trait]
impl SandboxBuilder for MockBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let message = format!("invalid environment variable `{name}`");
            return Err(MalformedPayloadError::new(message));
        }
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        let reject = |reason| MalformedPayloadError::new(format!("`{target}` {reason}"));
        let path = relative(target).filter(|it| !it.is_empty());
        let path = path.ok_or_else(|| reject("is outside of the task's folder"))?;
        let mut used = self.copies.iter().map(|(_, target)| target);
        if used.any(|it| it.starts_with(&path) || path.starts_with(it)) {
            return Err(reject("is already used"));
        }
        self.copies.push((source.to_owned(), path));
        Ok(())
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        let Self {
            run,
            steps,
            env,
            copies,
        } = *self;
        let read = spawn_blocking(move || read_copies(&copies)).await;
        let files = read.map_err(TaskError::other)?;
        let files = Arc::new(Mutex::new(files.map_err(TaskError::other)?));
        let (killed, is_killed) = watch::channel(false);
        let (sender, exit) = watch::channel(None);
        let written = Arc::clone(&files);
        let task = tokio::spawn(async move {
            let ended = run_steps(&steps, &env, &written, run.context.log_drain(), is_killed);
            sender.send_replace(Some(ended.await.map_err(|error| error.to_string())));
        });
        Ok(Arc::new(MockSandbox {
            killed,
            exit,
            files,
            task,
        }))
    }
}

/// Reads the files to copy into memory.
fn read_copies(copies: &[(PathBuf, Vec<String>)]) -> io::Result<MemoryFiles> {
    let mut files = MemoryFiles::default();
    for (source, target) in copies {
        if source.is_file() {
            files.insert(target.clone(), Node::File(std::fs::read(source)?.into()));
            continue;
        }
        files.insert(target.clone(), Node::Folder);
        for entry in list_folder(source)?.files {
            let names = entry.name.split('/').map(str::to_owned);
            let path = target.iter().cloned().chain(names).collect();
            files.insert(path, Node::File(std::fs::read(&entry.path)?.into()));
        }
    }
    Ok(files)
}

struct MockSandbox {
    killed: watch::Sender<bool>,
    exit: watch::Receiver<Option<Result<Exit, String>>>,
    files: Arc<Mutex<MemoryFiles>>,
    task: JoinHandle<()>,
}

impl Drop for MockSandbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Sandbox for MockSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(exit))) => Ok(Arc::new(MockResult {
                exit: *exit,
                files: self.files.lock().clone(),
            })),
            Ok(Some(Err(message))) => Err(TaskError::other(message.as_str())),
            _ => Err(TaskError::other("the task was dropped while it ran")),
        }
    }

    async fn kill(&self, _: Duration) {
        self.killed.send_replace(true);
        let _ = self.exit.clone().wait_for(Option::is_some).await;
    }
}

struct MockResult {
    exit: Exit,
    files: MemoryFiles,
}

#[async_trait]
impl ResultSet for MockResult {
    fn exit(&self) -> Exit {
        self.exit
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        let path = path.to_owned();
        Err(ExtractError::NotLocal { path })
    }

    async fn open_file(&self, path: &str) -> Result<TaskFile, ExtractError> {
        match self.files.find(path)?.1 {
            Node::File(bytes) => Ok(remote(bytes)),
            _ => Err(ExtractError::NotAFile {
                path: path.to_owned(),
            }),
        }
    }

    async fn walk_folder(
        &self,
        path: &str,
        max_entries: usize,
    ) -> Result<FolderWalk, ExtractError> {
        self.files.walk(path, max_entries, remote)
    }
}

fn remote(bytes: &Arc<[u8]>) -> TaskFile {
    TaskFile::Remote(Arc::new(MemoryFile(Arc::clone(bytes))))
}

struct MemoryFile(Arc<[u8]>);

#[async_trait]
impl RemoteFile for MemoryFile {
    async fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        Ok(Box::new(io::Cursor::new(Arc::clone(&self.0))))
    }
}
