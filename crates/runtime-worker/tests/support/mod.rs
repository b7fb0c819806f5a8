//! A worker on an embedded Taskcluster, and what tests ask of both.

use std::sync::Arc;
use std::time::Duration;

use runtime_client::TaskclusterDeployment;
use runtime_core::webhook::NoWebHookServer;
use runtime_core::{
    CredentialsWatch, Environment, LifeCycleTracker, Monitor, Stoppable as _, TemporaryStorage,
    WorkerIdentity,
};
use runtime_gc::{Config, GarbageCollector, SystemPressure};
use runtime_mocks::taskcluster::{TaskStatus, Taskcluster};
use runtime_worker::plugins::{Artifacts, ExitStatus, MaxRunTime, TaskLog};
use runtime_worker::{Engine, ProcessEngine, Worker, WorkerBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The queue of all tests; each has a Taskcluster of its own.
pub const QUEUE: &str = "test/linux";

/// An embedded Taskcluster, and the folder of a worker for it.
pub struct Bench {
    pub taskcluster: Taskcluster,
    pub folder: TempDir,
    pub stop: LifeCycleTracker,
}

/// A worker that runs in the background.
pub struct Running {
    stop: LifeCycleTracker,
    worker: JoinHandle<()>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with_claim_timeout(Duration::from_secs(1200)).await
    }

    pub async fn with_claim_timeout(timeout: Duration) -> Self {
        let builder = Taskcluster::builder()
            .long_poll(Duration::from_millis(100))
            .claim_timeout(timeout);
        Self {
            taskcluster: builder.start().await.expect("a Taskcluster on a free port"),
            folder: tempfile::tempdir().expect("a folder for the test"),
            stop: LifeCycleTracker::new(),
        }
    }

    /// The worker of most tests: processes, a log, artifacts, a time limit, exit codes.
    pub fn worker(&self) -> WorkerBuilder {
        self.worker_with(Arc::new(
            ProcessEngine::new().grace(Duration::from_millis(200)),
        ))
        .plugin(TaskLog::new())
        .plugin(MaxRunTime::default())
        .plugin(ExitStatus)
        .plugin(Artifacts)
    }

    pub fn worker_with(&self, engine: Arc<dyn Engine>) -> WorkerBuilder {
        let deployment =
            TaskclusterDeployment::new(self.taskcluster.root_url()).expect("a valid root URL");
        let credentials = CredentialsWatch::fixed(Some(self.taskcluster.credentials()));
        Worker::builder(Arc::new(deployment), self.environment(), engine)
            .credentials(credentials)
            .capacity(4)
            .cancel_poll(Duration::from_millis(50))
    }

    fn environment(&self) -> Environment {
        let collector =
            GarbageCollector::new(Config::default(), SystemPressure::new(self.folder.path()));
        Environment {
            resources: collector.tracker(),
            storage: TemporaryStorage::open(self.folder.path()).expect("the folder is ours"),
            web_hooks: Arc::new(NoWebHookServer),
            monitor: Monitor::null(),
            worker: Arc::new(self.stop.clone()),
            identity: WorkerIdentity {
                root_url: self.taskcluster.root_url().to_owned(),
                task_queue_id: QUEUE.to_owned(),
                worker_group: "group".to_owned(),
                worker_id: "worker".to_owned(),
            },
            clock: Arc::new(self.taskcluster.clock()),
        }
    }

    pub fn start(&self, worker: WorkerBuilder) -> Running {
        let worker = worker.build().expect("the parts fit together");
        let stop = self.stop.clone();
        let tracker = stop.clone();
        Running {
            stop,
            worker: tokio::spawn(async move { worker.run_until(&tracker).await }),
        }
    }

    pub fn create(&self, payload: Value) -> String {
        self.create_with(json!({ "payload": payload }))
    }

    pub fn create_with(&self, mut definition: Value) -> String {
        definition["taskQueueId"] = json!(QUEUE);
        self.taskcluster
            .create_task(definition)
            .expect("a valid definition")
    }

    pub async fn resolved(&self, task_id: &str) -> TaskStatus {
        let resolved = self
            .taskcluster
            .wait_for(task_id, |status| status.state.is_resolved());
        within_a_minute(resolved).await.expect("the task exists")
    }

    pub async fn running(&self, task_id: &str) {
        let running = self.taskcluster.wait_for(task_id, |status| {
            status
                .runs
                .last()
                .is_some_and(|run| run.worker_id.is_some())
        });
        within_a_minute(running).await.expect("the task exists");
    }

    /// Creates a task, runs it, and gives how it ended, such as `completed` or `exception/canceled`.
    pub async fn outcome(&self, payload: Value) -> (String, String) {
        let task_id = self.create(payload);
        let running = self.start(self.worker());
        let status = self.resolved(&task_id).await;
        running.stop().await;
        (task_id, state(&status))
    }

    pub async fn log(&self, task_id: &str) -> String {
        self.text(task_id, "public/logs/live_backing.log").await
    }

    pub async fn text(&self, task_id: &str, artifact: &str) -> String {
        let stored = self
            .taskcluster
            .read_artifact(task_id, artifact)
            .await
            .expect("the artifact is there");
        String::from_utf8(stored.decoded().expect("valid gzip").to_vec()).expect("it is text")
    }

    /// What the worker has in its folder, but for the lock of the root.
    pub fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        let names = entries.map(|entry| {
            entry
                .expect("it is readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        });
        names.filter(|name| name != ".lock").collect()
    }
}

impl Running {
    /// Stops gracefully and waits for the end.
    pub async fn stop(self) {
        self.stop.stop_gracefully();
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }

    /// Stops at once and waits for the end.
    pub async fn stop_now(self) {
        self.stop.stop_now();
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }
}

pub fn state(status: &TaskStatus) -> String {
    let state = format!("{:?}", status.state).to_lowercase();
    match status.reason_resolved() {
        Some(reason) if state == "exception" => format!("exception/{reason}"),
        _ => state,
    }
}

/// A test that hangs tells less than one that fails.
async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("it takes no minute")
}
