//! A worker that is killed loses its claims, and the next one runs the tasks again.
//!
//! The worker to kill has to be a process of its own: this test program, told by a variable to be one.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::{Bench, Settings, is_alive, state};

/// Where the worker process finds the queue, its credentials and its folder.
const ROLE: &str = "RUNTIME_WORKER_TEST_SETTINGS";

#[tokio::test]
async fn a_task_of_a_worker_that_was_killed_runs_again_elsewhere() {
    if let Ok(settings) = std::env::var(ROLE) {
        return be_the_worker(&settings).await;
    }
    let bench = Bench::with_claim_timeout(Duration::from_secs(2)).await;
    let script = "echo $$ > $MARKER.$RUN_ID; test $RUN_ID = 1 || exec sleep 600";
    let marker = bench.mark("marker");
    let payload = json!({ "command": ["sh", "-c", script], "env": { "MARKER": marker } });
    let task_id = bench.create(payload);

    let mut worker = Command::new(std::env::current_exe().expect("this program has a path"))
        .args([
            "--exact",
            "kill::a_task_of_a_worker_that_was_killed_runs_again_elsewhere",
            "--nocapture",
        ])
        .env(
            ROLE,
            serde_json::to_string(&bench.settings()).expect("settings serialize"),
        )
        .stdout(Stdio::null())
        .spawn()
        .expect("this program starts");
    bench.running(&task_id).await;
    bench.file_appears(&marker.with_extension("0")).await;
    worker.kill().expect("it still runs");
    worker.wait().expect("it ends");
    let orphan = pid_in(&marker.with_extension("0"));
    assert!(is_alive(orphan), "nobody was left to end it");

    let running = bench.start(bench.worker());
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "completed");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(status.runs.len(), 2);
    assert!(
        !is_alive(orphan),
        "the next worker ends what the dead one left running"
    );
    assert_eq!(
        bench.left_behind(),
        [""; 0],
        "the next worker reaps what the dead one left on disk"
    );
}

async fn be_the_worker(settings: &str) {
    let settings: Settings = serde_json::from_str(settings).expect("settings of this test");
    let worker = settings.worker().build().expect("the parts fit together");
    worker
        .run_until(&runtime_core::LifeCycleTracker::new())
        .await;
}

fn pid_in(mark: &std::path::Path) -> u32 {
    let pid = std::fs::read_to_string(mark).expect("the task told its process id");
    pid.trim().parse().expect("it is a number")
}
