//! Benchmarks of a worker: overhead of a task, throughput, and an idle worker.
//!
//! Worker, queue and tasks share the machine. Each task runs a shell that writes a file, and uploads one artifact and its
//! log, which is also served live. All requests use HTTP to an embedded Taskcluster.

use std::io::Write as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bench_harness::{AtLeast, AtMost, Bench, time_ms};
use flate2::Compression;
use flate2::write::GzEncoder;
use runtime_client::TaskclusterDeployment;
use runtime_core::clock::SystemClock;
use runtime_core::{
    Credentials, CredentialsWatch, Environment, LifeCycleTracker, Monitor, Stoppable as _,
    TaskContext, TemporaryStorage, WorkerIdentity,
};
use runtime_gc::{GarbageCollector, GcConfig, HostStats};
use runtime_mocks::taskcluster::Taskcluster;
use runtime_process::{ProcessEngine, TaskIsolation};
use runtime_webhook::{LiveLog, LocalhostServer};
use runtime_worker::Worker;
use runtime_worker::plugins::{self, Artifacts, ExitStatus, MaxRunTime, TaskLog};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const QUEUE: &str = "bench/linux";

/// The variable that makes this program an idle worker: root URL, client id and token as JSON.
const IDLE_WORKER_VAR: &str = "RUNTIME_WORKER_BENCH";

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(IDLE_WORKER_VAR) {
        idle_worker(&role);
    }
    Bench::main("worker", |bench| {
        let runtime = Runtime::new().expect("a runtime");
        let tasks = bench.pick(200, 40);
        bench
            .case("overhead of a no-op task, without its process", "ms")
            .bar(AtMost(20.0))
            .ours(|| task_ms(&runtime, tasks, TaskIsolation::None) - process_ms());
        // A machine that cannot have the walls fails at the start of the worker.
        bench
            .case("no-op task behind strict walls", "ms")
            .bar(AtMost(1.5))
            .peer("the same without walls", || {
                task_ms(&runtime, tasks, TaskIsolation::None)
            })
            .ours(|| task_ms(&runtime, tasks, TaskIsolation::Strict));
        let tasks = bench.pick(1_000, 200);
        bench
            .case("no-op tasks, 16 concurrent", "tasks/s")
            .bar(AtLeast(100.0))
            .ours(|| {
                f64::from(tasks) / runtime.block_on(run_tasks(tasks, 16, TaskIsolation::None))
            });
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
    let worker = worker(root_url, credentials, &folder, &hooks, 1, none);
    let stop = LifeCycleTracker::new();
    let resolved = async {
        let status = taskcluster.wait_until_resolved(&id).await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(
            status.expect("an existing task").reason_resolved(),
            Some("completed")
        );
        stop.stop_gracefully();
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
    let ids: Vec<_> = (0..tasks)
        .map(|_| {
            let payload = json!({
                "command": ["sh", "-c", "echo > a"],
                "artifacts": [{ "name": "public/a", "type": "file", "path": "a" }],
            });
            let task = json!({ "taskQueueId": QUEUE, "payload": payload });
            taskcluster.create_task(task).expect("a valid definition")
        })
        .collect();
    let hooks = Arc::new(
        LocalhostServer::builder()
            .start()
            .await
            .expect("start a server"),
    );
    let credentials = taskcluster.credentials();
    let worker = worker(
        taskcluster.root_url(),
        credentials,
        &folder,
        &hooks,
        capacity,
        isolation,
    );
    let stop = LifeCycleTracker::new();
    let start = Instant::now();
    let resolved = async {
        for id in &ids {
            let status = taskcluster.wait_until_resolved(id).await;
            assert_eq!(
                status.expect("an existing task").reason_resolved(),
                Some("completed")
            );
        }
        stop.stop_gracefully();
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
    folder: &TempDir,
    hooks: &Arc<LocalhostServer>,
    capacity: usize,
    isolation: TaskIsolation,
) -> Worker {
    let collector = GarbageCollector::new(GcConfig::default(), HostStats::new(folder.path()));
    let environment = Environment {
        resource_tracker: collector.tracker(),
        storage: TemporaryStorage::open(folder.path()).expect("open the storage"),
        web_hooks: Arc::clone(hooks) as _,
        monitor: Monitor::null(),
        stop: Arc::new(LifeCycleTracker::new()),
        identity: Arc::new(WorkerIdentity {
            root_url: root_url.to_owned(),
            task_queue_id: QUEUE.to_owned(),
            worker_group: "bench".to_owned(),
            worker_id: format!("worker-{}", std::process::id()),
        }),
        clock: Arc::new(SystemClock),
    };
    let log = TaskLog::new().live(|task: TaskContext| {
        Arc::new(LiveLog::new(move |offset| {
            task.followed_log().reader_at(offset)
        })) as _
    });
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
    .build()
    .expect("a valid worker")
}

/// Returns the CPU usage in percent of a core, and the memory in MiB, of a worker process without tasks.
async fn idle(seconds: u32) -> (f64, f64) {
    let taskcluster = Taskcluster::start().await.expect("start a server");
    let credentials = taskcluster.credentials();
    let role = json!({
        "root": taskcluster.root_url(),
        "client": credentials.client_id,
        "token": credentials.access_token.expose_secret(),
    });
    let program = std::env::current_exe().expect("the path of this program");
    let child = Command::new(program)
        .env(IDLE_WORKER_VAR, role.to_string())
        .stdout(Stdio::null())
        .spawn();
    let child = KilledOnDrop(child.expect("start this program"));
    let folder = format!("/proc/{}", child.0.id());
    // The start of the process is not measured.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = ticks(&folder);
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let percent = (ticks(&folder) - before) / f64::from(seconds);
    let status = std::fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse::<f64>().ok());
    drop(child);
    taskcluster.stop().await;
    (percent, kib.unwrap_or(f64::NAN) / 1024.0)
}

/// Returns the CPU time of a process in ticks of 10 ms.
fn ticks(folder: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("{folder}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<f64> = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    fields.iter().sum()
}

fn idle_worker(role: &str) -> ! {
    let role: serde_json::Value = serde_json::from_str(role).expect("JSON");
    let text = |name: &str| role[name].as_str().expect("text").to_owned();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("create a folder");
        let hooks = Arc::new(
            LocalhostServer::builder()
                .start()
                .await
                .expect("start a server"),
        );
        let credentials = Credentials::new(text("client"), text("token"));
        let worker = worker(
            &text("root"),
            credentials,
            &folder,
            &hooks,
            4,
            TaskIsolation::None,
        );
        worker.run_until(&LifeCycleTracker::new()).await;
    });
    unreachable!("the worker is killed")
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // Both fail only if the process has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
