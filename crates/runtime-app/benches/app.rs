//! The start of a worker program: to its first claim, its checks and its help.

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use bench_harness::{AtMost, Bench, time_ms};
use runtime_app::WorkerApp;
use runtime_process::{ProcessConfig, ProcessEngine};
use runtime_taskcluster_embedded::{TaskSnapshot, TaskState, Taskcluster};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The variable with which this program is the worker.
const AS_WORKER: &str = "BENCH_AS_WORKER";

const QUEUE: &str = "bench/linux";

fn main() -> ExitCode {
    if std::env::var_os(AS_WORKER).is_some() {
        return WorkerApp::new("worker", env!("CARGO_PKG_VERSION"))
            .engine(|config: ProcessConfig, _| config.to_engine())
            .end_leftovers(ProcessEngine::kill_leftovers)
            .run();
    }
    Bench::main("app", |bench| {
        let runtime = Runtime::new().expect("a runtime");
        let taskcluster = runtime.block_on(Taskcluster::start()).expect("a free port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("worker.json");
        let settings = settings(&taskcluster, &folder);
        std::fs::write(&config, settings.to_string()).expect("the folder is ours");
        let rounds = bench.pick(25, 9);
        bench
            .case("start to the first claim", "ms")
            .rounds(rounds)
            .bar(AtMost(50.0))
            .ours(|| runtime.block_on(first_claim(&taskcluster, &config)));
        bench
            .case("check", "ms")
            .bar(AtMost(1_000.0))
            .ours(|| time_ms(|| succeed(worker(&["check", "--config"]).arg(&config))));
        bench
            .case("--help", "ms")
            .rounds(rounds)
            .bar(AtMost(10.0))
            .ours(|| time_ms(|| succeed(&mut worker(&["--help"]))));
    })
}

fn settings(taskcluster: &Taskcluster, folder: &TempDir) -> Value {
    let credentials = taskcluster.credentials();
    json!({
        "worker": {
            "rootUrl": taskcluster.root_url(),
            "taskQueueId": QUEUE,
            "workerGroup": "bench",
            "workerId": "worker",
            "dataFolder": folder.path().join("data"),
            "credentials": {
                "clientId": credentials.client_id,
                "accessToken": credentials.secrets().next(),
            },
        },
    })
}

/// Returns a command that is a worker.
fn worker(args: &[&str]) -> Command {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.env(AS_WORKER, "1").args(args).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn succeed(command: &mut Command) {
    let status = command.status().expect("this program starts");
    assert!(status.success(), "{status}");
}

/// Returns the time in milliseconds from the start of a worker until a task is claimed.
async fn first_claim(taskcluster: &Taskcluster, config: &Path) -> f64 {
    let task = json!({ "taskQueueId": QUEUE, "payload": { "command": ["true"] } });
    let task_id = taskcluster.create_task(task).expect("a valid task");
    let is_claimed = |status: &TaskSnapshot| status.state != TaskState::Pending;
    let begin = Instant::now();
    let mut command = worker(&["run", "--once", "--config"]);
    let worker = command.arg(config).spawn().expect("this program starts");
    let claimed = taskcluster.wait_for(&task_id, is_claimed).await;
    let millis = begin.elapsed().as_secs_f64() * 1_000.0;
    claimed.expect("the task exists");
    assert!(ended(worker), "the worker ran the task");
    millis
}

fn ended(mut worker: Child) -> bool {
    worker.wait().expect("a child").success()
}
