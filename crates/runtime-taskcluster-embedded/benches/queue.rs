//! The rate at which the embedded queue claims and resolves runs over HTTP.
//!
//! Client and server share the machine. Each run takes one claim and one report, which are signed,
//! verified and sent over persistent loopback connections.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Instant;

use bench_harness::{AtLeast, Bench};
use runtime_taskcluster_embedded::Taskcluster;
use serde_json::json;
use tokio::runtime::Runtime;

use support::{Client, create};

/// The number of workers that claim concurrently.
const WORKERS: u64 = 8;

fn main() -> ExitCode {
    Bench::main("queue", |bench| {
        let runtime = Runtime::new().expect("a runtime");
        let runs = bench.pick(8_000, 2_000);
        for (name, tasks) in [("one run per claim", 1), ("up to 8 runs per claim", 8)] {
            bench
                .case(name, "runs/s")
                .bar(AtLeast(2_000.0))
                .ours(|| runtime.block_on(claim_and_resolve(runs, tasks)));
        }
    })
}

async fn claim_and_resolve(runs: u64, tasks: u32) -> f64 {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    for _ in 0..runs {
        create(&taskcluster, json!({}));
    }
    let client = Client::root(&taskcluster);
    let start = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(client.clone(), runs / WORKERS, tasks)))
        .collect();
    for worker in workers {
        worker.await.expect("no panic in a worker");
    }
    let rate = runs as f64 / start.elapsed().as_secs_f64();
    taskcluster.stop().await;
    rate
}

/// Claims and resolves this many runs.
async fn work(client: Client, runs: u64, tasks: u32) {
    let mut done = 0;
    while done < runs {
        let wanted = tasks.min(u32::try_from(runs - done).unwrap_or(tasks));
        for claim in client.claim(wanted).await {
            let task = client.with_credentials(&claim["credentials"]);
            let task_id = claim["status"]["taskId"].as_str().expect("an id");
            let response = task.run(task_id, 0, "completed", json!({})).await;
            assert_eq!(response.status, 200, "{:?}", response.body);
            done += 1;
        }
    }
}
