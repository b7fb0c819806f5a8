//! A worker on an embedded Taskcluster, and what tests ask of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_client::TaskclusterDeployment;
use runtime_core::clock::{Clock, SystemClock};
use runtime_core::webhook::{Body, Handler};
use runtime_core::{
    Credentials, CredentialsWatch, Environment, LifeCycleTracker, Monitor, Stoppable as _,
    TemporaryStorage, WorkerIdentity,
};
use runtime_fetcher::{AddressPolicy, FetchConfig, HttpClient};
use runtime_gc::{Config, GarbageCollector, ResourceTracker, SystemPressure};
use runtime_mocks::taskcluster::{Fault, FaultRule, InjectedFault, TaskStatus, Taskcluster};
use runtime_worker::plugins::{self, Artifacts, ExitStatus, MaxRunTime, Mounts, TaskLog};
use runtime_worker::{
    Engine, Ladder, Observer, ProcessEngine, TaskEvent, TaskReport, Timing, Worker, WorkerBuilder,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::hooks::CountingHooks;

/// The queue of all tests; each has a Taskcluster of its own.
const QUEUE: &str = "test/linux";

/// What a worker needs to know; a worker in another process gets it as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    root_url: String,
    client_id: String,
    access_token: String,
    folder: PathBuf,
}

/// What a test may want to be different.
struct Parts {
    clock: Arc<dyn Clock>,
    engine: Arc<dyn Engine>,
    hooks: CountingHooks,
    stop: LifeCycleTracker,
    /// Where disposable things are registered, if not with a collector of the worker's own.
    resources: Option<ResourceTracker>,
    /// Keeps workers of one test apart.
    number: usize,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            engine: Arc::new(process_engine()),
            hooks: CountingHooks::default(),
            stop: LifeCycleTracker::new(),
            resources: None,
            number: 0,
        }
    }
}

impl Settings {
    /// The worker of most tests: processes, a log, artifacts, a time limit, exit codes.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        with_plugins(self.worker_of(Parts::default()))
    }

    fn worker_of(&self, parts: Parts) -> WorkerBuilder {
        let deployment = TaskclusterDeployment::with_settings(&self.root_url, client_settings())
            .expect("a valid root URL");
        let credentials = Credentials::new(self.client_id.clone(), self.access_token.clone());
        let environment = self.environment(&parts);
        Worker::builder(Arc::new(deployment), environment, parts.engine)
            .credentials(CredentialsWatch::fixed(Some(credentials)))
            .capacity(4)
            .timing(timing())
    }

    fn environment(&self, parts: &Parts) -> Environment {
        let collector = GarbageCollector::new(Config::default(), SystemPressure::new(&self.folder));
        Environment {
            resources: parts
                .resources
                .clone()
                .unwrap_or_else(|| collector.tracker()),
            storage: TemporaryStorage::open(&self.folder).expect("the folder is ours"),
            web_hooks: Arc::new(parts.hooks.clone()),
            monitor: Monitor::null(),
            worker: Arc::new(parts.stop.clone()),
            identity: WorkerIdentity {
                root_url: self.root_url.clone(),
                task_queue_id: QUEUE.to_owned(),
                worker_group: "group".to_owned(),
                worker_id: format!("worker-{}-{}", std::process::id(), parts.number),
            },
            clock: Arc::clone(&parts.clock),
        }
    }
}

fn with_plugins(worker: WorkerBuilder) -> WorkerBuilder {
    let log = TaskLog::new().live(|_| Arc::new(NotFound) as Arc<dyn Handler>);
    worker
        .plugin(log)
        .plugin(plugins::Environment)
        .plugin(MaxRunTime::default())
        .plugin(ExitStatus)
        .plugin(Artifacts)
}

/// What nobody follows in these tests.
struct NotFound;

#[async_trait]
impl Handler for NotFound {
    async fn handle(&self, _: http::Request<Body>) -> http::Response<Body> {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    }
}

/// A client that gives a call up soon, so that the worker's own patience is what counts.
fn client_settings() -> runtime_client::Settings {
    let mut settings = runtime_client::Settings::default();
    settings.retry.first_delay = Duration::from_millis(20);
    settings.retry.longest_delay = Duration::from_millis(100);
    settings.retry.budget = Duration::from_millis(500);
    settings.credentials_wait = Duration::from_secs(2);
    settings.stall_timeout = Duration::from_secs(20);
    settings
}

fn timing() -> Timing {
    let mut timing = Timing::default();
    timing.cancel_poll = Duration::from_millis(50);
    timing.retry_pause = Duration::from_millis(20);
    timing.claim_pause = Duration::from_millis(50);
    timing.empty_pause = Duration::from_millis(10);
    timing.kill = Duration::from_secs(2);
    timing.hang = Duration::from_millis(500);
    timing
}

pub(crate) fn process_engine() -> ProcessEngine {
    ProcessEngine::new().ladder(Ladder::new(Duration::ZERO, Duration::from_millis(200)))
}

/// An embedded Taskcluster, the folder of a worker for it, and what is noted of the worker.
pub(crate) struct Bench {
    pub(crate) taskcluster: Taskcluster,
    pub(crate) folder: TempDir,
    marks: TempDir,
    hooks: CountingHooks,
    reports: Reports,
    claims: InjectedFault,
    reclaims: InjectedFault,
}

/// Keeps what workers report.
#[derive(Clone, Debug, Default)]
struct Reports(Arc<Mutex<Vec<TaskReport>>>);

impl Observer for Reports {
    fn event(&self, event: &TaskEvent<'_>) {
        if let TaskEvent::Resolved(report) = event {
            self.0.lock().push((*report).clone());
        }
    }
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
        let taskcluster = builder.start().await.expect("a Taskcluster on a free port");
        // Delays of nothing, which count.
        let count =
            |method| taskcluster.inject(FaultRule::new(method, Fault::Latency { millis: 0 }));
        Self {
            claims: count("queue.claimWork"),
            reclaims: count("queue.reclaimTask"),
            taskcluster,
            folder: tempfile::tempdir().expect("a folder for the test"),
            marks: tempfile::tempdir().expect("a folder for the test"),
            hooks: CountingHooks::default(),
            reports: Reports::default(),
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

    fn parts(&self) -> Parts {
        Parts {
            clock: Arc::new(self.taskcluster.clock()),
            hooks: self.hooks.clone(),
            ..Parts::default()
        }
    }

    fn observed(&self, parts: Parts) -> WorkerBuilder {
        let worker = self.settings().worker_of(parts);
        worker.observer(Arc::new(self.reports.clone()))
    }

    /// The worker of most tests, on the clock of the queue.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        with_plugins(self.observed(self.parts()))
    }

    /// Another one beside it.
    pub(crate) fn other_worker(&self) -> WorkerBuilder {
        self.worker_number(1, Arc::new(process_engine()))
    }

    pub(crate) fn worker_number(&self, number: usize, engine: Arc<dyn Engine>) -> WorkerBuilder {
        with_plugins(self.observed(Parts {
            number,
            engine,
            ..self.parts()
        }))
    }

    /// One without plugins.
    pub(crate) fn worker_with(&self, engine: Arc<dyn Engine>) -> WorkerBuilder {
        self.observed(Parts {
            engine,
            ..self.parts()
        })
    }

    /// One without plugins, whose parts can stop it.
    pub(crate) fn worker_with_engine(
        &self,
        engine: Arc<dyn Engine>,
        stop: &LifeCycleTracker,
    ) -> WorkerBuilder {
        self.observed(Parts {
            engine,
            stop: stop.clone(),
            ..self.parts()
        })
    }

    /// The worker of most tests, which its parts can stop.
    pub(crate) fn worker_stopping(&self, stop: &LifeCycleTracker) -> WorkerBuilder {
        with_plugins(self.worker_with_engine(Arc::new(process_engine()), stop))
    }

    pub(crate) fn worker_with_clock(&self, clock: Arc<dyn Clock>) -> WorkerBuilder {
        with_plugins(self.observed(Parts {
            clock,
            ..self.parts()
        }))
    }

    pub(crate) fn stop_by_worker(&self) -> LifeCycleTracker {
        LifeCycleTracker::new()
    }

    /// The worker of most tests, with caches and inputs.
    pub(crate) fn worker_with_mounts(&self) -> WorkerBuilder {
        self.with_mounts(self.parts())
    }

    /// The same, whose caches are freed by another collector.
    pub(crate) fn worker_with_mounts_on(&self, resources: ResourceTracker) -> WorkerBuilder {
        self.with_mounts(Parts {
            resources: Some(resources),
            ..self.parts()
        })
    }

    fn with_mounts(&self, parts: Parts) -> WorkerBuilder {
        let config = FetchConfig {
            addresses: AddressPolicy::Any,
            ..FetchConfig::default()
        };
        let http = HttpClient::new(config).expect("the defaults are valid");
        let mounts = Mounts::new(http, &self.settings().environment(&parts));
        with_plugins(self.observed(parts)).plugin(mounts)
    }

    pub(crate) fn start(&self, worker: WorkerBuilder) -> Running {
        let worker = worker.build().expect("the parts fit together");
        let stop = LifeCycleTracker::new();
        let tracker = stop.clone();
        let worker = tokio::spawn(async move { worker.run_until(&tracker).await });
        Running { stop, worker }
    }

    /// Runs a worker that will stop by itself.
    pub(crate) async fn run_to_its_end(&self, worker: WorkerBuilder, stop: &LifeCycleTracker) {
        let worker = worker.build().expect("the parts fit together");
        within_a_minute(worker.run_until(stop)).await;
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

    /// Waits until the status of a task is as wanted.
    pub(crate) async fn until(
        &self,
        task_id: &str,
        wanted: impl Fn(&TaskStatus) -> bool,
    ) -> TaskStatus {
        within_a_minute(self.taskcluster.wait_for(task_id, wanted))
            .await
            .expect("the task exists")
    }

    /// Waits until a fault has struck so often.
    pub(crate) async fn hit(&self, fault: &InjectedFault, times: u32) {
        until(|| fault.hits() >= times).await;
    }

    /// Waits until one more claim was sent.
    pub(crate) async fn claiming(&self) {
        let before = self.claims.hits();
        self.hit(&self.claims, before + 1).await;
    }

    /// Makes claims take longer.
    pub(crate) fn slow_claims(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("it is not long");
        let rule = FaultRule::new("queue.claimWork", Fault::Latency { millis });
        self.taskcluster.inject(rule);
    }

    /// How often claims were extended, or tried to be.
    pub(crate) fn reclaims(&self) -> u32 {
        self.reclaims.hits()
    }

    /// Waits until workers are done with so many runs.
    pub(crate) async fn reported(&self, runs: usize) {
        until(|| self.reports.0.lock().len() >= runs).await;
    }

    pub(crate) fn reports(&self) -> Vec<TaskReport> {
        self.reports.0.lock().clone()
    }

    /// How runs ended by the account of their workers.
    pub(crate) fn resolutions(&self) -> Vec<String> {
        let reports = self.reports();
        let resolutions = reports.iter().map(|report| report.resolution.to_string());
        resolutions.collect()
    }

    /// Keeps the worker of most tests from getting tasks.
    pub(crate) fn quarantine(&self, how_long: Duration) {
        let worker_id = format!("worker-{}-0", std::process::id());
        self.taskcluster
            .quarantine_worker(QUEUE, "group", &worker_id, how_long);
    }

    /// Where the one worker keeps its files.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let names = self.left_behind();
        assert_eq!(names.len(), 1, "there is one worker: {names:?}");
        self.folder.path().join(&names[0])
    }

    pub(crate) fn pid(&self, mark: &Path) -> u32 {
        let pid = std::fs::read_to_string(mark).expect("the task told its process id");
        pid.trim().parse().expect("it is a number")
    }

    /// Nothing on disk, no hook, no process.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.left_behind(), [""; 0], "on disk");
        assert_eq!(self.hooks.attached(), 0, "hooks of {}", self.hooks.ever());
        let folder = self.folder.path().as_os_str().as_encoded_bytes();
        let strays = processes_with(folder);
        assert_eq!(strays, [0; 0], "processes");
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
    pub(crate) fn tracker(&self) -> LifeCycleTracker {
        self.stop.clone()
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) {
        within_a_minute(self.worker)
            .await
            .expect("the worker does not panic");
    }

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

pub(crate) fn sh(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

/// The processes whose environment mentions something.
fn processes_with(text: &[u8]) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_text = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text)
    };
    pids.filter(has_text).collect()
}

/// Looks until it is so.
async fn until(is_so: impl Fn() -> bool) {
    within_a_minute(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
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
