//! A place where the example worker works as a file says.

use std::path::Path;
use std::process::Stdio;

use runtime::mocks::taskcluster::{TaskSnapshot, Taskcluster};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, Worker, file, folder, worker};

const SECRET: &str = "a-secret-of-some-length";

/// What a worker that registers itself is told.
fn settings(taskcluster: &Taskcluster, data: &Path) -> Value {
    json!({
        "worker": {
            "rootUrl": taskcluster.root_url(),
            "taskQueueId": "pool/linux",
            "workerGroup": "group",
            "workerId": "id",
            "registration": { "providerId": "static", "staticSecret": SECRET },
            "dataFolder": data,
            "collector": { "limits": { "minFreeDisk": { "trigger": "1 MiB", "target": "2 MiB" } } },
            "plugins": { "logPrefix": { "image": "debian-13" }, "cacheScopes": "demo:cache:" },
        },
    })
}

/// A Taskcluster with a pool for one worker, which works as a file says.
pub(crate) struct Site {
    pub(crate) taskcluster: Taskcluster,
    worker: Option<Worker>,
    scratch: TempDir,
    data: TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let taskcluster = Taskcluster::start().await.expect("a free port");
        taskcluster.add_static_worker("pool/linux", "group", "id", SECRET);
        Self {
            taskcluster,
            worker: None,
            scratch: folder(),
            data: folder(),
        }
    }

    pub(crate) fn start(&mut self, change: impl FnOnce(&mut Value)) {
        let mut settings = settings(&self.taskcluster, self.data.path());
        change(&mut settings);
        let path = file(&self.scratch, "worker.json", &settings.to_string());
        let mut command = worker(self.scratch.path());
        let command = command.arg("--config").arg(path);
        let worker = Worker::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        self.worker = Some(worker);
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Lets nobody read what the worker says.
    pub(crate) fn close_output(&mut self) {
        let worker = self.worker.as_mut().expect("it was started");
        drop(worker.take_output());
    }

    /// The worker, for a test that ends it itself.
    pub(crate) fn take_worker(&mut self) -> Worker {
        self.worker.take().expect("it was started")
    }

    /// Lets the worker go on until a line with this part, and gives the line.
    pub(crate) async fn line_with(&mut self, part: &'static str) -> String {
        let mut worker = self.take_worker();
        let read = tokio::task::spawn_blocking(move || (worker.read_until(part), worker));
        let (lines, worker) = read.await.expect("the worker says so");
        self.worker = Some(worker);
        lines.last().cloned().expect("it was waited for")
    }

    pub(crate) async fn resolved(&self, definition: Value) -> TaskSnapshot {
        let mut definition = definition;
        definition["taskQueueId"] = json!("pool/linux");
        let task_id = self
            .taskcluster
            .create_task(definition)
            .expect("it is valid");
        let resolved = self.taskcluster.wait_until_resolved(&task_id);
        let resolved = tokio::time::timeout(PATIENCE, resolved).await;
        resolved
            .expect("the worker resolves it")
            .expect("the task exists")
    }

    pub(crate) async fn log(&self, status: &TaskSnapshot) -> String {
        let log = "public/logs/live_backing.log";
        let stored = self.taskcluster.read_artifact(&status.task_id, log).await;
        let log = stored
            .expect("there is a log")
            .decoded()
            .expect("valid gzip");
        String::from_utf8(log).expect("it is text")
    }

    /// Stops the worker, which must end well.
    pub(crate) async fn stop(mut self) -> Taskcluster {
        let mut worker = self.take_worker();
        let ended = tokio::task::spawn_blocking(move || {
            worker.signal("-TERM");
            worker.signal_until_ended()
        });
        assert!(ended.await.expect("no panic").success());
        self.taskcluster
    }
}
