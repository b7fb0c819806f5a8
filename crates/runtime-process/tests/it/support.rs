//! A worker with the process engine on an embedded Taskcluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime_client::TaskclusterDeployment;
use runtime_core::{
    Environment, LifeCycleTracker, Stoppable as _, TemporaryStorage, WorkerIdentity,
};
use runtime_mocks::taskcluster::{TaskSnapshot, Taskcluster};
use runtime_process::{KillSequence, ProcessEngine, TaskIsolation};
use runtime_webhook::LocalhostServer;
use runtime_worker::plugins::{self, Artifacts, ExitStatus, MaxRunTime, TaskLog};
use runtime_worker::{Engine, Timing, Worker, WorkerBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The task queue of the tests. Each test has its own Taskcluster.
const QUEUE: &str = "test/linux";

/// Set in a process that runs one test alone.
pub(crate) const ALONE: &str = "RUNTIME_PROCESS_TEST_ALONE";

/// An embedded Taskcluster and the folders of a worker.
pub(crate) struct TestBed {
    pub(crate) taskcluster: Taskcluster,
    pub(crate) isolation: TaskIsolation,
    /// Serves the hooks of tasks.
    web_hooks: Arc<LocalhostServer>,
    storage: PathBuf,
    markers: TempDir,
    /// The folder of the storage, unless it is given.
    _storage: Option<TempDir>,
}

/// A worker that runs in the background.
pub(crate) struct RunningWorker {
    stop: LifeCycleTracker,
    worker: JoinHandle<()>,
}

impl RunningWorker {
    /// Stops the worker gracefully and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.stop_gracefully();
        let ended = with_timeout(self.worker).await;
        ended.expect("the worker does not panic");
    }
}

impl TestBed {
    pub(crate) async fn new() -> Self {
        let storage = tempfile::tempdir().expect("a folder for the test");
        let bed = Self::with_storage(storage.path().to_owned()).await;
        Self {
            _storage: Some(storage),
            ..bed
        }
    }

    /// Returns a test bed for each isolation that this machine can have.
    pub(crate) async fn each() -> Vec<Self> {
        let mut beds = vec![Self::new().await];
        for isolation in [TaskIsolation::User, TaskIsolation::Strict] {
            beds.extend(Self::isolated(isolation).await);
        }
        beds
    }

    /// Returns a test bed whose tasks are isolated, or `None` if this machine or user cannot isolate them.
    pub(crate) async fn isolated(isolation: TaskIsolation) -> Option<Self> {
        let bed = Self {
            isolation,
            ..Self::new().await
        };
        match bed.engine().prepare(&bed.environment()).await {
            Ok(()) => Some(bed),
            Err(error) => {
                println!("skipped with isolation `{isolation}`: {error:?}");
                None
            }
        }
    }

    /// Uses an existing folder for the storage of workers.
    pub(crate) async fn with_storage(storage: PathBuf) -> Self {
        // A worker that stops gracefully waits for its claim, so an empty claim must return soon.
        let builder = Taskcluster::builder().long_poll(Duration::from_millis(100));
        let markers = tempfile::tempdir().expect("a folder for the test");
        let web_hooks = LocalhostServer::start().await;
        let readable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(markers.path(), readable).expect("a folder of the test");
        Self {
            taskcluster: builder.start().await.expect("a free port"),
            isolation: TaskIsolation::None,
            web_hooks: Arc::new(web_hooks.expect("a free port")),
            storage,
            markers,
            _storage: None,
        }
    }

    /// Returns an engine with the isolation of the test, whose tasks have little time to obey a signal. They see the
    /// markers, and may write them if they are not isolated.
    pub(crate) fn engine(&self) -> ProcessEngine {
        process_engine()
            .isolation(self.isolation)
            .visible_path(self.markers.path())
    }

    /// Returns a worker whose tasks have little time to obey a signal.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        self.worker_with(self.engine())
    }

    pub(crate) fn worker_with(&self, engine: ProcessEngine) -> WorkerBuilder {
        self.worker_without_plugins(Arc::new(engine))
            .plugin(TaskLog::new())
            .plugin(plugins::TaskEnvVars)
            .plugin(MaxRunTime::default())
            .plugin(ExitStatus)
            .plugin(Artifacts::default())
    }

    pub(crate) fn worker_without_plugins(&self, engine: Arc<dyn Engine>) -> WorkerBuilder {
        let root_url = self.taskcluster.root_url();
        let deployment = TaskclusterDeployment::new(root_url).expect("a valid root URL");
        let credentials = self.taskcluster.credentials();
        Worker::builder(Arc::new(deployment), self.environment(), engine)
            .credentials(credentials)
            .timing(timing())
    }

    pub(crate) fn environment(&self) -> Environment {
        let identity = WorkerIdentity {
            root_url: self.taskcluster.root_url().to_owned(),
            task_queue_id: QUEUE.to_owned(),
            worker_group: "group".to_owned(),
            worker_id: format!("worker-{}", std::process::id()),
        };
        let storage = TemporaryStorage::open(&self.storage).expect("the folder is ours");
        Environment::builder(identity, storage)
            .shared_web_hooks(self.web_hooks.clone())
            .build()
    }

    pub(crate) fn start(&self, worker: WorkerBuilder) -> RunningWorker {
        let worker = worker.build().expect("the parts fit together");
        let stop = LifeCycleTracker::new();
        let tracker = stop.clone();
        let worker = tokio::spawn(async move { worker.run_until(&tracker).await });
        RunningWorker { stop, worker }
    }

    pub(crate) fn create(&self, payload: Value) -> String {
        let definition = json!({ "taskQueueId": QUEUE, "payload": payload });
        let task_id = self.taskcluster.create_task(definition);
        task_id.expect("a valid definition")
    }

    pub(crate) fn cancel(&self, task_id: &str) {
        let cancelled = self.taskcluster.cancel_task(task_id);
        cancelled.expect("the task exists and is unresolved");
    }

    pub(crate) async fn resolved(&self, task_id: &str) -> TaskSnapshot {
        let status = with_timeout(self.taskcluster.wait_until_resolved(task_id)).await;
        status.expect("the task exists")
    }

    /// Creates a task, runs it, and returns its id and resolution, such as `completed` or `exception/canceled`.
    pub(crate) async fn run_task(&self, payload: Value) -> (String, String) {
        let task_id = self.create(payload);
        let running = self.start(self.worker());
        let status = self.resolved(&task_id).await;
        running.stop().await;
        (task_id, status.state_and_reason())
    }

    pub(crate) async fn log(&self, task_id: &str) -> String {
        self.text(task_id, "public/logs/live_backing.log").await
    }

    pub(crate) async fn text(&self, task_id: &str, artifact: &str) -> String {
        let text = self.taskcluster.read_artifact_text(task_id, artifact).await;
        text.expect("the artifact exists")
    }

    pub(crate) fn storage(&self) -> &Path {
        &self.storage
    }

    /// Returns the path of a file that a task may write, outside of the worker's folder.
    pub(crate) fn marker(&self, name: &str) -> PathBuf {
        self.markers.path().join(name)
    }

    /// Waits until a task has written a line to a file.
    pub(crate) async fn wait_for_file(&self, path: &Path) {
        wait_until(|| fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'))).await;
    }

    /// Waits until a task has written a line to a file in its folder.
    pub(crate) async fn wait_for_task_file(&self, name: &str) {
        wait_until(|| self.read_task_file(name).ends_with('\n')).await;
    }

    /// Returns the content of a file in the folder of a running task, or nothing.
    pub(crate) fn read_task_file(&self, name: &str) -> String {
        let workers = fs::read_dir(&self.storage).into_iter().flatten().flatten();
        let folders = workers.flat_map(|it| fs::read_dir(it.path()).into_iter().flatten());
        let mut files = folders.flatten().map(|it| it.path().join(name));
        let text = files.find_map(|it| fs::read_to_string(it).ok());
        text.unwrap_or_default()
    }

    pub(crate) fn pid(&self, marker: &Path) -> u32 {
        let pid = fs::read_to_string(marker).expect("the task wrote its process id");
        pid.trim().parse().expect("a number")
    }

    /// Fails if anything of the worker is left on disk, except for the lock of its folder.
    pub(crate) fn assert_no_leftovers(&self) {
        let entries = fs::read_dir(&self.storage).expect("the folder is there");
        let names = entries.flatten().map(|entry| entry.file_name());
        let left: Vec<_> = names.filter(|name| name != ".lock").collect();
        assert_eq!(left, [""; 0], "on disk");
    }
}

pub(crate) fn process_engine() -> ProcessEngine {
    ProcessEngine::new().kill_sequence(KillSequence::new(
        Duration::ZERO,
        Duration::from_millis(200),
    ))
}

fn timing() -> Timing {
    let mut timing = Timing::default();
    timing.cancel_poll_interval = Duration::from_millis(50);
    timing.claim_retry_delay = Duration::from_millis(50);
    timing.empty_claim_delay = Duration::from_millis(10);
    timing.kill_timeout = Duration::from_secs(2);
    timing
}

pub(crate) fn sh(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

/// Waits until a condition holds.
pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    with_timeout(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn with_timeout<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    let done = tokio::time::timeout(limit, work).await;
    done.expect("it takes less than a minute")
}

/// Returns whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// An argument for `sleep` that no other process has, to find it whatever process id it has inside.
pub(crate) fn unique_seconds() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("600.{:07}{count:03}", std::process::id())
}

/// Returns whether a process runs that has this last argument.
pub(crate) fn is_running(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut command_lines = processes.map(|it| fs::read(it.path().join("cmdline")));
    let end = format!("\0{argument}\0");
    command_lines.any(|it| it.is_ok_and(|it| it.ends_with(end.as_bytes())))
}

/// Returns whether [`run_isolated`] started this process.
pub(crate) fn is_isolated() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs a test of this program in another process, since it changes a limit of its process.
pub(crate) async fn run_isolated(test: &str) {
    let command = Command::new(std::env::current_exe().expect("this program has a path"));
    run(command, &["--exact", test], 1).await;
}

/// Runs the tests in a module of this program as an ordinary user, if this user may become another one.
pub(crate) async fn run_isolated_as_user(module: &str, count: usize) {
    let this = std::env::current_exe().expect("this program has a path");
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root {
        "setpriv".as_ref()
    } else {
        this.as_os_str()
    });
    if is_root {
        let user = [
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
            "--inh-caps=-all",
        ];
        command.args(user).arg(&this);
    }
    run(command, &[&format!("{module}::")], count).await;
}

async fn run(mut command: Command, arguments: &[&str], count: usize) {
    command.args(arguments).arg("--nocapture").env(ALONE, "1");
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let passed = format!("{count} passed");
    assert!(text.contains(&passed), "{arguments:?}: {text}");
}
