//! An embedded Taskcluster, and the example worker with a configuration file for it.

use std::path::Path;
use std::process::Stdio;

use runtime::mocks::taskcluster::{TaskSnapshot, Taskcluster};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{TIMEOUT, Worker, file, folder, worker};

const SECRET: &str = "a-secret-of-some-length";

/// Returns the settings of a worker that registers itself.
fn settings(taskcluster: &Taskcluster, data: &Path) -> Value {
    json!({
        "worker": {
            "rootUrl": taskcluster.root_url(),
            "taskQueueId": "pool/linux",
            "workerGroup": "group",
            "workerId": "id",
            "registration": { "provider": "static", "staticSecret": SECRET },
            "dataFolder": data,
            "collector": { "limits": { "minFreeDisk": { "trigger": "1 MiB", "target": "2 MiB" } } },
            "plugins": { "logPrefix": { "image": "debian-13" }, "cacheScopes": "demo:cache:" },
        },
    })
}

/// A Taskcluster with a static worker pool, and the worker of that pool.
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

    /// Starts the worker with changed settings.
    pub(crate) fn start(&mut self, change: impl FnOnce(&mut Value)) {
        let mut settings = settings(&self.taskcluster, self.data.path());
        change(&mut settings);
        let path = file(&self.scratch, "worker.json", &settings.to_string());
        let mut command = worker(self.scratch.path());
        let command = command.args(["run", "--config"]).arg(path);
        let worker = Worker::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        self.worker = Some(worker);
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Closes the reading end of the standard output.
    pub(crate) fn close_output(&mut self) {
        let worker = self.worker.as_mut().expect("a started worker");
        drop(worker.take_output());
    }

    /// Returns the worker, for a test that stops it itself.
    pub(crate) fn take_worker(&mut self) -> Worker {
        self.worker.take().expect("a started worker")
    }

    /// Waits for a line of the worker that contains `part`, and returns it.
    pub(crate) async fn line_with(&mut self, part: &'static str) -> String {
        let mut worker = self.take_worker();
        let read = tokio::task::spawn_blocking(move || (worker.read_until(part), worker));
        let (lines, worker) = read.await.expect("no panic");
        self.worker = Some(worker);
        lines.last().cloned().expect("the line was read")
    }

    pub(crate) async fn resolved(&self, definition: Value) -> TaskSnapshot {
        let mut definition = definition;
        definition["taskQueueId"] = json!("pool/linux");
        let task_id = self
            .taskcluster
            .create_task(definition)
            .expect("a valid definition");
        let resolved = self.taskcluster.wait_until_resolved(&task_id);
        let resolved = tokio::time::timeout(TIMEOUT, resolved).await;
        resolved
            .expect("the worker resolves the task")
            .expect("the task exists")
    }

    pub(crate) async fn log(&self, status: &TaskSnapshot) -> String {
        let log = "public/logs/live_backing.log";
        let log = self
            .taskcluster
            .read_artifact_text(&status.task_id, log)
            .await;
        log.expect("the log exists")
    }

    /// Stops the worker and asserts that it succeeds.
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
