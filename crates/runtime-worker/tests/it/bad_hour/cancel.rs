//! A task that is cancelled, whose deadline passes, or whose worker stops, at each stage.

use std::time::Duration;

use runtime_mocks::taskcluster::TaskSnapshot;
use serde_json::json;

use super::gate::{Act, Gate, STAGES, Stage};
use crate::support::{Bench, sh, state};

#[tokio::test]
async fn a_task_can_be_cancelled_at_each_stage() {
    for stage in STAGES {
        let bench = Bench::new().await;
        let gate = Gate::new(stage, Act::Stand);
        let task_id = bench.create(sh("true"));
        let running = bench.start(bench.worker().plugin(gate.clone()));
        gate.reached().await;
        bench.cancel(&task_id);
        bench.reported(1).await;
        running.stop().await;
        let status = bench.resolved(&task_id).await;
        assert_eq!(state(&status), "exception/canceled", "{stage:?}");
        assert_eq!(status.runs.len(), 1, "{stage:?}");
        assert_eq!(bench.resolutions(), ["exception/canceled"], "{stage:?}");
        bench.assert_nothing_is_left();
    }
}

#[tokio::test]
async fn a_worker_that_must_stop_gives_a_task_back_at_each_stage() {
    for stage in STAGES {
        let bench = Bench::new().await;
        let gate = Gate::new(stage, Act::Stand);
        let task_id = bench.create(sh("true"));
        let running = bench.start(bench.worker().plugin(gate.clone()));
        gate.reached().await;
        running.stop_now().await;
        let status = bench.taskcluster.status(&task_id).expect("the task exists");
        assert_eq!(
            reasons(&status),
            [Some("worker-shutdown"), None],
            "{stage:?}"
        );
        bench.assert_nothing_is_left();
    }
}

#[tokio::test]
async fn a_claim_that_nobody_answers_neither_delays_an_immediate_stop_nor_gets_what_is_given_back()
{
    let bench = Bench::with_long_poll(Duration::from_secs(3600)).await;
    let gate = Gate::new(Stage::Started, Act::Stand);
    let task_id = bench.create(sh("true"));
    let running = bench.start(bench.worker().plugin(gate.clone()));
    gate.reached().await;
    bench.claims(2).await;
    running.stop_now().await;
    let status = bench.taskcluster.status(&task_id).expect("the task exists");
    assert_eq!(reasons(&status), [Some("worker-shutdown"), None]);
    assert_eq!(status.runs[1].worker_id, None, "nobody claimed it again");
}

#[tokio::test]
async fn a_claim_that_nobody_answers_ends_with_a_graceful_stop() {
    let bench = Bench::with_long_poll(Duration::from_secs(3600)).await;
    let running = bench.start(bench.worker());
    bench.claims(1).await;
    running.stop().await;
}

#[tokio::test]
async fn the_deadline_ends_a_task_without_a_report() {
    let bench = Bench::with_claim_timeout(Duration::from_secs(4 * 3600)).await;
    let started = bench.mark("started");
    let script = format!("echo > {}; exec sleep 600", started.display());
    let task_id = bench.create(sh(&script));
    let running = bench.start(bench.worker());
    bench.file_appears(&started).await;
    bench.taskcluster.advance(Duration::from_secs(2 * 3600));
    bench.reported(1).await;
    running.stop().await;
    let status = bench.resolved(&task_id).await;
    assert_eq!(state(&status), "exception/deadline-exceeded");
    assert_eq!(bench.resolutions(), ["exception/deadline-exceeded"]);
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_claimed_while_the_worker_stops_is_given_back_unless_it_is_the_last_try() {
    for (retries, expected) in [
        (1, vec![Some("worker-shutdown"), None]),
        (0, vec![Some("completed")]),
    ] {
        let bench = Bench::with_long_poll(Duration::from_secs(3600)).await;
        let running = bench.start(bench.worker());
        bench.claiming().await;
        // The worker hears of the task when this one waits, and then it has been told to stop.
        let task_id = bench.create_with(json!({ "payload": sh("true"), "retries": retries }));
        running.stop().await;
        let status = bench.taskcluster.status(&task_id).expect("the task exists");
        assert_eq!(reasons(&status), expected, "{retries} retries");
    }
}

/// Why each run ended; none for one that waits for a worker.
fn reasons(status: &TaskSnapshot) -> Vec<Option<&'static str>> {
    status.runs.iter().map(|run| run.reason_resolved).collect()
}
