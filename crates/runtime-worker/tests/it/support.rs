//! A worker on an embedded Taskcluster, and what tests ask of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use runtime_client::TaskclusterDeployment;
use runtime_core::clock::{Clock, SystemClock};
use runtime_core::webhook::NoWebHookServer;
use runtime_core::{
    Credentials, CredentialsWatch, Environment, LifeCycleTracker, Monitor, Stoppable as _,
    TemporaryStorage, WorkerIdentity,
};
use runtime_fetcher::{AddressPolicy, FetchConfig, HttpClient};
use runtime_gc::{Config, GarbageCollector, ResourceTracker, SystemPressure};
use runtime_mocks::taskcluster::{TaskStatus, Taskcluster};
use runtime_worker::plugins::{self, Artifacts, ExitStatus, MaxRunTime, Mounts, TaskLog};
use runtime_worker::{Engine, Ladder, ProcessEngine, Worker, WorkerBuilder};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The queue of all tests; each has a Taskcluster of its own.
const QUEUE: &str = "test/linux";

/// What a worker needs to know; a worker in another process gets it as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    root_url: String,
    client_id: String,
    access_token: String,
    folder: PathBuf,
}

impl Settings {
    /// The worker of most tests: processes, a log, artifacts, a time limit, exit codes.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        self.worker_with(
            self.environment(Arc::new(SystemClock)),
            Arc::new(process_engine()),
        )
        .plugin(TaskLog::new())
        .plugin(plugins::Environment)
        .plugin(MaxRunTime::default())
        .plugin(ExitStatus)
        .plugin(Artifacts)
    }

    fn worker_with(&self, environment: Environment, engine: Arc<dyn Engine>) -> WorkerBuilder {
        let deployment = TaskclusterDeployment::new(&self.root_url).expect("a valid root URL");
        let credentials = Credentials::new(self.client_id.clone(), self.access_token.clone());
        Worker::builder(Arc::new(deployment), environment, engine)
            .credentials(CredentialsWatch::fixed(Some(credentials)))
            .capacity(4)
            .cancel_poll(Duration::from_millis(50))
    }

    fn environment(&self, clock: Arc<dyn Clock>) -> Environment {
        let collector = GarbageCollector::new(Config::default(), SystemPressure::new(&self.folder));
        Environment {
            resources: collector.tracker(),
            storage: TemporaryStorage::open(&self.folder).expect("the folder is ours"),
            web_hooks: Arc::new(NoWebHookServer),
            monitor: Monitor::null(),
            worker: Arc::new(LifeCycleTracker::new()),
            identity: WorkerIdentity {
                root_url: self.root_url.clone(),
                task_queue_id: QUEUE.to_owned(),
                worker_group: "group".to_owned(),
                worker_id: format!("worker-{}", std::process::id()),
            },
            clock,
        }
    }
}

fn process_engine() -> ProcessEngine {
    ProcessEngine::new().ladder(Ladder::new(Duration::ZERO, Duration::from_millis(200)))
}

/// An embedded Taskcluster, and the folder of a worker for it.
pub(crate) struct Bench {
    pub(crate) taskcluster: Taskcluster,
    pub(crate) folder: TempDir,
    marks: TempDir,
}

/// A worker that runs in the background.
pub(crate) struct Running {
    stop: LifeCycleTracker,
    worker: JoinHandle<()>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with_claim_timeout(Duration::from_secs(1200)).await
    }

    pub(crate) async fn with_claim_timeout(timeout: Duration) -> Self {
        let builder = Taskcluster::builder()
            .long_poll(Duration::from_millis(100))
            .claim_timeout(timeout);
        Self {
            taskcluster: builder.start().await.expect("a Taskcluster on a free port"),
            folder: tempfile::tempdir().expect("a folder for the test"),
            marks: tempfile::tempdir().expect("a folder for the test"),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let credentials = self.taskcluster.credentials();
        Settings {
            root_url: self.taskcluster.root_url().to_owned(),
            client_id: credentials.client_id,
            access_token: credentials.access_token.expose_secret().to_owned(),
            folder: self.folder.path().to_owned(),
        }
    }

    pub(crate) fn worker(&self) -> WorkerBuilder {
        self.settings().worker()
    }

    pub(crate) fn worker_with(&self, engine: Arc<dyn Engine>) -> WorkerBuilder {
        let settings = self.settings();
        settings.worker_with(
            settings.environment(Arc::new(self.taskcluster.clock())),
            engine,
        )
    }

    /// The worker of most tests, with caches and inputs.
    pub(crate) fn worker_with_mounts(&self) -> WorkerBuilder {
        let environment = self.settings().environment(Arc::new(SystemClock));
        self.worker_with_mounts_on(environment.resources)
    }

    /// The same, whose caches are freed by another collector.
    pub(crate) fn worker_with_mounts_on(&self, resources: ResourceTracker) -> WorkerBuilder {
        let settings = self.settings();
        let config = FetchConfig {
            addresses: AddressPolicy::Any,
            ..FetchConfig::default()
        };
        let http = HttpClient::new(config).expect("the defaults are valid");
        let mut environment = settings.environment(Arc::new(SystemClock));
        environment.resources = resources;
        let mounts = Mounts::new(http, &environment);
        settings
            .worker_with(environment, Arc::new(process_engine()))
            .plugin(TaskLog::new())
            .plugin(MaxRunTime::default())
            .plugin(mounts)
            .plugin(ExitStatus)
            .plugin(Artifacts)
    }

    pub(crate) fn start(&self, worker: WorkerBuilder) -> Running {
        let worker = worker.build().expect("the parts fit together");
        let stop = LifeCycleTracker::new();
        let tracker = stop.clone();
        let worker = tokio::spawn(async move { worker.run_until(&tracker).await });
        Running { stop, worker }
    }

    pub(crate) fn create(&self, payload: Value) -> String {
        self.create_with(json!({ "payload": payload }))
    }

    pub(crate) fn create_with(&self, mut definition: Value) -> String {
        definition["taskQueueId"] = json!(QUEUE);
        self.taskcluster
            .create_task(definition)
            .expect("a valid definition")
    }

    pub(crate) async fn resolved(&self, task_id: &str) -> TaskStatus {
        let resolved = self
            .taskcluster
            .wait_for(task_id, |status| status.state.is_resolved());
        within_a_minute(resolved).await.expect("the task exists")
    }

    pub(crate) async fn running(&self, task_id: &str) {
        let is_claimed = |status: &TaskStatus| {
            status
                .runs
                .last()
                .is_some_and(|run| run.worker_id.is_some())
        };
        within_a_minute(self.taskcluster.wait_for(task_id, is_claimed))
            .await
            .expect("the task exists");
    }

    /// A file that a task may make to tell how far it is; outside of the worker's folder.
    pub(crate) fn mark(&self, name: &str) -> PathBuf {
        self.marks.path().join(name)
    }

    /// Another process makes the file, so that there is nothing to wait on but the file itself.
    pub(crate) async fn file_appears(&self, path: &Path) {
        within_a_minute(async {
            while !std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Creates a task, runs it, and gives how it ended, such as `completed` or `exception/canceled`.
    pub(crate) async fn outcome(&self, payload: Value) -> (String, String) {
        let task_id = self.create(payload);
        let running = self.start(self.worker());
        let status = self.resolved(&task_id).await;
        running.stop().await;
        (task_id, state(&status))
    }

    pub(crate) async fn log(&self, task_id: &str) -> String {
        self.text(task_id, "public/logs/live_backing.log").await
    }

    pub(crate) async fn text(&self, task_id: &str, artifact: &str) -> String {
        let stored = self
            .taskcluster
            .read_artifact(task_id, artifact)
            .await
            .expect("the artifact is there");
        String::from_utf8(stored.decoded().expect("valid gzip").to_vec()).expect("it is text")
    }

    /// What is in the worker's folder, but for the lock of the root.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        let name =
            |entry: std::io::Result<std::fs::DirEntry>| entry.expect("it is readable").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.retain(|name| name != ".lock");
        names.sort_unstable();
        names
    }
}

impl Running {
    /// Stops gracefully and waits for the end.
    pub(crate) async fn stop(self) {
        self.stop.stop_gracefully();
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }

    /// Stops at once and waits for the end.
    pub(crate) async fn stop_now(self) {
        self.stop.stop_now();
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }
}

pub(crate) fn state(status: &TaskStatus) -> String {
    let state = format!("{:?}", status.state).to_lowercase();
    match status.reason_resolved() {
        Some(reason) if state == "exception" => format!("exception/{reason}"),
        _ => state,
    }
}

/// A test that hangs tells less than one that fails.
async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, work)
        .await
        .expect("it takes no minute")
}

/// Reports whether a process runs; one that ended and waits to be reaped by its parent does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}
