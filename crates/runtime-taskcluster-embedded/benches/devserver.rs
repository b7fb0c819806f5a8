//! The embedded Taskcluster with its state in a folder: rate, start and memory with many finished tasks.
//!
//! Each finished task has a run, an artifact and an entry in the index.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use bench_harness::{AtLeast, AtMost, Bench, Plot, peak_rss_mib, time_ms};
use runtime_taskcluster_embedded::Taskcluster;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use support::{Client, create, later};

/// The number of workers that claim concurrently.
const WORKERS: u64 = 8;

/// The variable with the data folder, for a process that measures one start of a server.
const START_FOLDER: &str = "BENCH_START_FOLDER";

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(START_FOLDER) {
        measure_start(Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    Bench::main("devserver", |bench| {
        let runtime = Runtime::new().expect("a runtime");
        let runs = bench.pick(8_000, 2_000);
        for (name, on_disk) in [("runs on disk", true), ("runs in memory", false)] {
            bench
                .case(name, "runs/s")
                .bar(AtLeast(2_000.0))
                .ours(|| runtime.block_on(claim_and_resolve(runs, on_disk)));
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        runtime.block_on(finish_tasks(&folder, bench.pick(100_000, 10_000)));
        bench
            .case("start with finished tasks", "ms")
            .bar(AtMost(1_000.0))
            .ours(|| started(&folder).0);
        bench
            .case("journal of 1000 artifacts of a task", "bytes each")
            .bar(AtMost(500.0))
            .ours(|| runtime.block_on(bytes_per_artifact(1_000)));
        bench
            .case("memory with finished tasks", "MiB")
            .bar(AtMost(300.0))
            .ours(|| started(&folder).1);
        growth(bench, &runtime);
    })
}

/// A start reads all tasks once.
fn growth(bench: &mut Bench, runtime: &Runtime) {
    const PLOT: Plot = Plot {
        name: "devserver",
        title: "Start of the server",
        by: "finished tasks",
    };
    let sizes: &[u64] = bench.pick(&[1000, 10_000, 100_000], &[1000, 4000, 16_000]);
    let create = |tasks| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        runtime.block_on(finish_tasks(&folder, tasks));
        folder
    };
    bench
        .growth(PLOT, "time", "ms")
        .bar(AtMost(1.1))
        .run(sizes, create, |folder, _| started(folder).0);
    bench
        .growth(PLOT, "peak memory", "MiB")
        .bar(AtMost(1.0))
        .run(sizes, create, |folder, _| started(folder).1);
}

/// Prints the duration of a start in milliseconds and the peak of memory in MiB.
fn measure_start(folder: &Path) {
    let runtime = Runtime::new().expect("a runtime");
    let (mut millis, mut taskcluster) = (f64::NAN, None);
    let peak = peak_rss_mib(|| {
        millis = time_ms(|| taskcluster = Some(runtime.block_on(start(Some(folder)))));
    });
    println!("{millis} {}", peak.unwrap_or(f64::NAN));
}

/// Starts a server in another process, and returns its measurements.
fn started(folder: &TempDir) -> (f64, f64) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    let output = command.env(START_FOLDER, folder.path()).output();
    let output = output.expect("this program starts").stdout;
    let text = String::from_utf8(output).expect("two numbers");
    let (millis, mebibytes) = text.trim().split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    (number(millis), number(mebibytes))
}

/// Returns the growth of the journal for each artifact of one task.
async fn bytes_per_artifact(artifacts: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taskcluster = start(Some(folder.path())).await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let journal = folder.path().join("journal");
    let len = || std::fs::metadata(&journal).expect("a file").len() as f64;
    let before = len();
    let expires = later(&taskcluster, std::time::Duration::from_secs(3600));
    let artifact = json!({ "storageType": "s3", "contentType": "text/plain", "expires": expires });
    for n in 0..artifacts {
        let name = format!("public/build/part-{n}.o");
        let declared = worker.artifact(&task_id, &name, artifact.clone()).await;
        assert_eq!(declared.status, 200, "{:?}", declared.body);
    }
    (len() - before) / f64::from(artifacts)
}

async fn start(folder: Option<&Path>) -> Taskcluster {
    let mut builder = Taskcluster::builder();
    if let Some(folder) = folder {
        builder = builder.data_dir(folder);
    }
    builder.start().await.expect("a free port")
}

async fn claim_and_resolve(runs: u64, on_disk: bool) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taskcluster = start(on_disk.then_some(folder.path())).await;
    for _ in 0..runs {
        create(&taskcluster, json!({}));
    }
    let begin = Instant::now();
    work_off(&taskcluster, runs, false).await;
    let rate = runs as f64 / begin.elapsed().as_secs_f64();
    taskcluster.stop().await;
    rate
}

/// Leaves the state with this number of finished tasks.
async fn finish_tasks(folder: &TempDir, tasks: u64) {
    let taskcluster = start(Some(folder.path())).await;
    for n in 0..tasks {
        let route = format!("index.project.build.{n}");
        let task = json!({
            "routes": [route],
            "scopes": ["queue:get-artifact:private/*", "secrets:get:project/build"],
            "payload": {
                "command": ["bash", "-c", "make --jobs 8 && make install"],
                "env": { "CARGO_HOME": "/home/task/.cargo", "LANG": "C.UTF-8" },
                "maxRunTime": 3600,
            },
        });
        create(&taskcluster, task);
    }
    work_off(&taskcluster, tasks, true).await;
    taskcluster.stop().await;
}

/// Claims and resolves this many runs, each with an artifact if requested.
async fn work_off(taskcluster: &Taskcluster, runs: u64, with_artifact: bool) {
    let client = Client::root(taskcluster);
    let expires = later(taskcluster, std::time::Duration::from_secs(3600));
    let artifact = with_artifact
        .then(|| json!({ "storageType": "s3", "contentType": "text/plain", "expires": expires }));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(client.clone(), runs / WORKERS, artifact.clone())))
        .collect();
    for worker in workers {
        worker.await.expect("no panic in a worker");
    }
}

async fn work(client: Client, runs: u64, artifact: Option<Value>) {
    let mut done = 0;
    while done < runs {
        // One run per claim is the dearest.
        let wanted = if artifact.is_some() { 8 } else { 1 };
        for claim in client.claim(wanted.min(runs - done) as u32).await {
            let task = client.with_credentials(&claim["credentials"]);
            let task_id = claim["status"]["taskId"].as_str().expect("an id");
            if let Some(artifact) = &artifact {
                upload(&task, task_id, artifact).await;
            }
            let response = task.run(task_id, 0, "completed", json!({})).await;
            assert_eq!(response.status, 200, "{:?}", response.body);
            done += 1;
        }
    }
}

async fn upload(task: &Client, task_id: &str, artifact: &Value) {
    let name = "public/logs/live_backing.log";
    let declared = task.artifact(task_id, name, artifact.clone()).await;
    let url = declared.body["putUrl"].as_str().expect("a URL");
    let headers = [("content-type", "text/plain"), ("content-encoding", "gzip")];
    let mut put = task.http.put(url).body("log");
    for (name, value) in headers {
        put = put.header(name, value);
    }
    let put = put.send().await.expect("a response");
    assert_eq!(put.status(), 200);
}
