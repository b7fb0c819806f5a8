//! Benchmarks of a worker: overhead of a task, throughput, and an idle worker.
//!
//! Worker, queue and tasks share the machine. Each task runs a shell that writes a file, and uploads one artifact and its
//! log, which is also served live. All requests use HTTP to an embedded Taskcluster.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bench_harness::{AtLeast, AtMost, Bench, time_ms};
use flate2::Compression;
use flate2::write::GzEncoder;
use runtime_client::TaskclusterDeployment;
use runtime_core::clock::SystemClock;
use runtime_core::webhook::NoWebHookServer;
use runtime_core::{
    Credentials, CredentialsWatch, Environment, LifeCycleTracker, Monitor, TaskContext,
    TemporaryStorage, WorkerIdentity,
};
use runtime_gc::{GarbageCollector, GcConfig, HostStats};
use runtime_mocks::taskcluster::Taskcluster;
use runtime_process::{ProcessEngine, TaskIsolation};
use runtime_webhook::{LiveLog, LocalhostServer};
use runtime_worker::plugins::{self, Artifacts, ExitStatus, MaxRunTime, TaskLog};
use runtime_worker::{Worker, WorkerBuilder};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const QUEUE: &str = "bench/linux";

/// The variable that makes this program a worker without live logs: root URL, client id, token, capacity and folder as JSON.
const WORKER_VAR: &str = "RUNTIME_WORKER_BENCH";

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(WORKER_VAR) {
        worker_process(&role);
    }
    Bench::main("worker", |bench| {
        let runtime = Runtime::new().expect("a runtime");
        let none = TaskIsolation::None;
        let tasks = bench.pick(200, 40);
        bench
            .case("overhead of a no-op task, without its process", "ms")
            .bar(AtMost(20.0))
            .ours(|| task_ms(&runtime, tasks, none) - process_ms());
        // A machine that cannot have the walls fails at the start of the worker.
        bench
            .case("no-op task behind strict walls", "ms")
            .bar(AtMost(1.5))
            .peer("without walls", || task_ms(&runtime, tasks, none))
            .ours(|| task_ms(&runtime, tasks, TaskIsolation::Strict));
        let tasks = bench.pick(1_000, 200);
        bench
            .case("no-op tasks, 16 concurrent", "tasks/s")
            .bar(AtLeast(1000.0))
            .ours(|| f64::from(tasks) / runtime.block_on(run_tasks(tasks, 16, none)));
        let tasks = bench.pick(2_000, 400);
        bench
            .case("CPU time of the worker for a no-op task", "ms/task")
            .bar(AtMost(1.2))
            .ours(|| runtime.block_on(cpu_ms(tasks)));
        let capacity = bench.pick(1_000, 200);
        bench
            .case(&format!("{capacity} × `sleep 1` at once"), "ms")
            .bar(AtMost(4_000.0))
            .rounds(1)
            .ours(|| runtime.block_on(sleepers(capacity)).0);
        bench
            .case(&format!("{capacity} × `sleep 1` at once"), "threads")
            .bar(AtMost(40.0))
            .rounds(1)
            .ours(|| runtime.block_on(sleepers(capacity)).1);
        let parts = bench.pick(10, 3);
        bench
            .case("a long log, from the end of the task", "ms")
            .bar(AtMost(0.3))
            .rounds(1)
            .peer("compression of the log", || compress_ms(parts))
            .ours(|| runtime.block_on(after_long_log_ms(parts)));
        let seconds = bench.pick(30, 10);
        bench
            .case("idle worker, share of a core", "%")
            .bar(AtMost(0.5))
            .rounds(1)
            .ours(|| runtime.block_on(idle(seconds)).0);
        bench
            .case("idle worker, resident memory", "MiB")
            .bar(AtMost(40.0))
            .rounds(1)
            .ours(|| runtime.block_on(idle(2)).1);
    })
}

/// Returns the time of a task in milliseconds, one task at a time.
fn task_ms(runtime: &Runtime, tasks: u32, isolation: TaskIsolation) -> f64 {
    runtime.block_on(run_tasks(tasks, 1, isolation)) * 1e3 / f64::from(tasks)
}

/// Measures the process of a no-op task without a worker.
fn process_ms() -> f64 {
    let rounds = 20;
    let run = || {
        for _ in 0..rounds {
            let mut command = Command::new("sh");
            let ended = command.args(["-c", ":"]).status().expect("run `sh`");
            assert!(ended.success());
        }
    };
    time_ms(run) / f64::from(rounds)
}

/// Prints a part of a long log: 100 MB of numbered lines.
const LOG_PART: &str = "seq -f 'compiling the module number %.0f of this project' 2000000";

/// Measures the compression of a log of some parts, as it is done for its upload.
fn compress_ms(parts: u32) -> f64 {
    let printed = Command::new("sh").args(["-c", LOG_PART]).output();
    let part = printed.expect("run `sh`").stdout;
    time_ms(|| {
        let mut encoder = GzEncoder::new(std::io::sink(), Compression::default());
        for _ in 0..parts {
            encoder.write_all(&part).expect("a sink takes everything");
        }
        encoder.finish().expect("a sink takes everything");
    })
}

/// Returns the milliseconds from the end of the process of a task with a log of some parts, to its resolution.
async fn after_long_log_ms(parts: u32) -> f64 {
    let taskcluster = Taskcluster::start().await.expect("start a server");
    let folder = tempfile::tempdir().expect("create a folder");
    let ended = folder.path().join("ended");
    let script = format!(
        "for part in $(seq {parts}); do {LOG_PART}; sleep 1; done; date +%s%N > {}",
        ended.display()
    );
    let task = json!({ "taskQueueId": QUEUE, "payload": { "command": ["sh", "-c", script] } });
    let id = taskcluster.create_task(task).expect("a valid definition");
    let hooks = LocalhostServer::builder().start().await;
    let hooks = Arc::new(hooks.expect("start a server"));
    let (root_url, credentials) = (taskcluster.root_url(), taskcluster.credentials());
    let none = TaskIsolation::None;
    let worker = worker(root_url, credentials, folder.path(), Some(&hooks), 1, none);
    let worker = worker.max_tasks(Some(1)).build().expect("a valid worker");
    let stop = LifeCycleTracker::new();
    let resolved = async {
        let status = taskcluster.wait_until_resolved(&id).await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(
            status.expect("an existing task").reason_resolved(),
            Some("completed")
        );
        now.expect("after 1970").as_nanos() as f64
    };
    let (now, ()) = tokio::join!(resolved, async { worker.run_until(&stop).await });
    hooks.stop(Duration::ZERO).await;
    taskcluster.stop().await;
    let ended = std::fs::read_to_string(ended).expect("the task wrote it");
    (now - ended.trim().parse::<f64>().expect("nanoseconds")) / 1e6
}

/// Returns the seconds from the first claim until all tasks are resolved.
async fn run_tasks(tasks: u32, capacity: usize, isolation: TaskIsolation) -> f64 {
    let taskcluster = Taskcluster::start().await.expect("start a server");
    let folder = tempfile::tempdir().expect("create a folder");
    let payload = json!({
        "command": ["sh", "-c", "echo > a"],
        "artifacts": [{ "name": "public/a", "type": "file", "path": "a" }],
    });
    let ids = create_tasks(&taskcluster, tasks, &payload);
    let hooks = LocalhostServer::builder().start().await;
    let hooks = Arc::new(hooks.expect("start a server"));
    let (root, credentials) = (taskcluster.root_url(), taskcluster.credentials());
    let path = folder.path();
    let worker = worker(root, credentials, path, Some(&hooks), capacity, isolation);
    // Its end waits for no further claim.
    let worker = worker.max_tasks(Some(tasks.into()));
    let worker = worker.build().expect("a valid worker");
    let stop = LifeCycleTracker::new();
    let start = Instant::now();
    let resolved = async {
        wait_for_tasks(&taskcluster, &ids).await;
        start.elapsed().as_secs_f64()
    };
    let work = async {
        worker.run_until(&stop).await;
    };
    let (seconds, ()) = tokio::join!(resolved, work);
    hooks.stop(Duration::ZERO).await;
    taskcluster.stop().await;
    seconds
}

fn worker(
    root_url: &str,
    credentials: Credentials,
    folder: &Path,
    hooks: Option<&Arc<LocalhostServer>>,
    capacity: usize,
    isolation: TaskIsolation,
) -> WorkerBuilder {
    let collector = GarbageCollector::new(GcConfig::default(), HostStats::new(folder));
    let environment = Environment {
        resource_tracker: collector.tracker(),
        storage: TemporaryStorage::open(folder).expect("open the storage"),
        web_hooks: hooks.map_or_else(
            || Arc::new(NoWebHookServer) as _,
            |hooks| Arc::clone(hooks) as _,
        ),
        monitor: Monitor::null(),
        stop: Arc::new(LifeCycleTracker::new()),
        identity: Arc::new(WorkerIdentity {
            root_url: root_url.to_owned(),
            task_queue_id: QUEUE.to_owned(),
            worker_group: "bench".to_owned(),
            worker_id: format!("worker-{}", std::process::id()),
        }),
        clock: Arc::new(SystemClock::new()),
    };
    let mut log = TaskLog::new();
    if hooks.is_some() {
        log = log.live(|task: TaskContext| {
            Arc::new(LiveLog::new(move |offset| {
                task.followed_log().reader_at(offset)
            })) as _
        });
    }
    let deployment = TaskclusterDeployment::new(root_url).expect("a root URL");
    Worker::builder(
        Arc::new(deployment),
        environment,
        Arc::new(ProcessEngine::new().isolation(isolation)),
    )
    .credentials(CredentialsWatch::fixed(Some(credentials)))
    .capacity(capacity)
    .plugin(log)
    .plugin(plugins::TaskEnvVars)
    .plugin(MaxRunTime::default())
    .plugin(ExitStatus)
    .plugin(Artifacts::default())
}

/// Returns the CPU time in milliseconds that a worker process needs for a task, without the queue and the task's process.
async fn cpu_ms(tasks: u32) -> f64 {
    let taskcluster = Taskcluster::start().await.expect("start a server");
    let worker = WorkerProcess::start(&taskcluster, 16);
    run_commands(&taskcluster, 100, &["true"]).await;
    let before = worker.ticks();
    run_commands(&taskcluster, tasks, &["true"]).await;
    let ms = (worker.ticks() - before) * 10.0 / f64::from(tasks);
    drop(worker);
    taskcluster.stop().await;
    ms
}

/// Returns the milliseconds in which a worker process runs as many commands of a second as it has capacity, and the
/// maximum number of its threads.
async fn sleepers(capacity: u32) -> (f64, f64) {
    let taskcluster = Taskcluster::start().await.expect("start a server");
    let worker = WorkerProcess::start(&taskcluster, capacity);
    run_commands(&taskcluster, 1, &["true"]).await;
    let start = Instant::now();
    let mut threads = 0.0_f64;
    let count_threads = async {
        loop {
            threads = threads.max(worker.status("Threads:"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = run_commands(&taskcluster, capacity, &["sleep", "1"]) => {}
        () = count_threads => {}
    }
    let ms = start.elapsed().as_secs_f64() * 1e3;
    drop(worker);
    taskcluster.stop().await;
    (ms, threads)
}

/// Creates tasks that run a command, and waits until all are completed.
async fn run_commands(taskcluster: &Taskcluster, tasks: u32, command: &[&str]) {
    let ids = create_tasks(taskcluster, tasks, &json!({ "command": command }));
    wait_for_tasks(taskcluster, &ids).await;
}

fn create_tasks(taskcluster: &Taskcluster, tasks: u32, payload: &Value) -> Vec<String> {
    let task = json!({ "taskQueueId": QUEUE, "payload": payload });
    let create = |_| taskcluster.create_task(task.clone());
    let created = (0..tasks).map(create).collect::<Result<_, _>>();
    created.expect("a valid definition")
}

/// Waits until all tasks are completed.
async fn wait_for_tasks(taskcluster: &Taskcluster, ids: &[String]) {
    for id in ids {
        let status = taskcluster.wait_until_resolved(id).await;
        let status = status.expect("an existing task");
        assert_eq!(status.reason_resolved(), Some("completed"));
    }
}

/// Returns the CPU usage in percent of a core, and the memory in MiB, of a worker process without tasks.
async fn idle(seconds: u32) -> (f64, f64) {
    let taskcluster = Taskcluster::start().await.expect("start a server");
    let worker = WorkerProcess::start(&taskcluster, 4);
    // The start of the process is not measured.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = worker.ticks();
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let percent = (worker.ticks() - before) / f64::from(seconds);
    let mib = worker.status("VmRSS:") / 1024.0;
    drop(worker);
    taskcluster.stop().await;
    (percent, mib)
}

/// A worker in a process of its own. It is killed on drop.
struct WorkerProcess {
    child: Child,
    /// Owned by this process, since the worker is killed and cannot remove it.
    _folder: TempDir,
}

impl WorkerProcess {
    fn start(taskcluster: &Taskcluster, capacity: u32) -> Self {
        let credentials = taskcluster.credentials();
        let folder = tempfile::tempdir().expect("create a folder");
        let role = json!({
            "folder": folder.path(),
            "root": taskcluster.root_url(),
            "client": credentials.client_id,
            "token": credentials.access_token.expose_secret(),
            "capacity": capacity,
        });
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        let command = command.env(WORKER_VAR, role.to_string());
        let child = command.stdout(Stdio::null()).spawn();
        Self {
            child: child.expect("start this program"),
            _folder: folder,
        }
    }

    fn file(&self, name: &str) -> String {
        let file = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// Returns the CPU time in ticks of 10 ms.
    fn ticks(&self) -> f64 {
        let stat = self.file("stat");
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let times = fields.split_ascii_whitespace().skip(11).take(2);
        times.filter_map(|field| field.parse::<f64>().ok()).sum()
    }

    /// Returns a number of the process status.
    fn status(&self, label: &str) -> f64 {
        let status = self.file("status");
        let number = status.lines().find_map(|line| line.strip_prefix(label));
        let mut fields = number.unwrap_or_default().split_ascii_whitespace();
        fields
            .next()
            .map_or(f64::NAN, |it| it.parse().unwrap_or(f64::NAN))
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // Both fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the worker of a [`WorkerProcess`].
fn worker_process(role: &str) -> ! {
    let role: Value = serde_json::from_str(role).expect("JSON");
    let text = |name: &str| role[name].as_str().expect("text").to_owned();
    Runtime::new().expect("a runtime").block_on(async {
        let credentials = Credentials::new(text("client"), text("token"));
        let capacity = role["capacity"].as_u64().expect("a number") as usize;
        let worker = worker(
            &text("root"),
            credentials,
            Path::new(&text("folder")),
            None,
            capacity,
            TaskIsolation::None,
        );
        let worker = worker.build().expect("a valid worker");
        worker.run_until(&LifeCycleTracker::new()).await;
    });
    unreachable!("the worker is killed")
}
