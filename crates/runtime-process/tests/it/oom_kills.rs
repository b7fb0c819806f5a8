//! OOM kills of tasks that run next to others: each is attributed to its task. Skipped where this user may not create
//! control groups that limit memory.
#![cfg(target_os = "linux")]

use runtime_core::error_chain;
use runtime_worker::Engine as _;
use serde_json::json;

use crate::support::{TestBed, sh};

/// Uses more memory than its limit.
const LARGE: &str = "tail /dev/zero; exit $?";

/// Runs pairs of a task that exceeds its limit and of one that does not, four at a time.
async fn attribute(bed: &TestBed, pairs: usize) {
    let limits = serde_json::from_value(json!({ "memory": "32 MiB" }));
    let engine = bed.engine().limits(limits.expect("valid limits"));
    if let Err(error) = engine.prepare(&bed.environment()).await {
        println!("skipped: {}", error_chain(&error));
        return;
    }
    let pairs: Vec<_> = (0..pairs)
        .map(|_| (bed.create(sh(LARGE)), bed.create(sh("echo small"))))
        .collect();
    let running = bed.start(bed.worker_with(engine).capacity(4));
    for (large, small) in &pairs {
        for (task_id, expected) in [(large, "failed"), (small, "completed")] {
            let status = bed.resolved(task_id).await;
            let log = bed.log(task_id).await;
            assert_eq!(status.state_and_reason(), expected, "{log}");
            let is_explained = log.contains("Out of memory: the task exceeded its memory limit");
            assert_eq!(is_explained, expected == "failed", "{log}");
        }
    }
    running.stop().await;
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn oom_kill_is_attributed_to_its_task() {
    for bed in TestBed::each().await {
        attribute(&bed, 3).await;
    }
}

#[tokio::test]
#[ignore = "takes a minute, for `cargo xtask e2e oom`"]
async fn hundred_oom_kills_are_attributed() {
    for bed in TestBed::each().await {
        attribute(&bed, 100).await;
    }
}
