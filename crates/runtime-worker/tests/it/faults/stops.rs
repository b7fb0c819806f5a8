//! Cancellation, deadline and shutdown at each stage of a task.

use std::time::Duration;

use runtime_mocks::taskcluster::TaskSnapshot;
use serde_json::json;

use super::stage_hook::{STAGES, Stage, StageAction, StageHook};
use crate::support::{TestBed, sh};

#[tokio::test]
async fn task_can_be_cancelled_at_each_stage() {
    for stage in STAGES {
        let bed = TestBed::new().await;
        let hook = StageHook::new(stage, StageAction::Block);
        let task_id = bed.create(sh("true"));
        let running = bed.start(bed.worker().plugin(hook.clone()));
        hook.reached().await;
        bed.cancel(&task_id);
        bed.wait_for_reports(1).await;
        running.stop().await;
        let status = bed.resolved(&task_id).await;
        assert_eq!(status.state_and_reason(), "exception/canceled", "{stage:?}");
        assert_eq!(status.runs.len(), 1, "{stage:?}");
        assert_eq!(bed.resolutions(), ["exception/canceled"], "{stage:?}");
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn immediate_stop_returns_the_task_at_each_stage() {
    for stage in STAGES {
        let bed = TestBed::new().await;
        let hook = StageHook::new(stage, StageAction::Block);
        let task_id = bed.create(sh("true"));
        let running = bed.start(bed.worker().plugin(hook.clone()));
        hook.reached().await;
        running.stop_now().await;
        let status = bed.taskcluster.status(&task_id).expect("an existing task");
        assert_eq!(
            reasons(&status),
            [Some("worker-shutdown"), None],
            "{stage:?}"
        );
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn claim_in_flight_does_not_get_returned_task() {
    let bed = TestBed::with_long_poll(Duration::from_secs(3600)).await;
    let hook = StageHook::new(Stage::Started, StageAction::Block);
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker().plugin(hook.clone()));
    hook.reached().await;
    bed.wait_for_claims(2).await;
    running.stop_now().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    assert_eq!(reasons(&status), [Some("worker-shutdown"), None]);
    assert_eq!(status.runs[1].worker_id, None, "not claimed again");
}

#[tokio::test]
async fn graceful_stop_ends_an_unanswered_claim() {
    let bed = TestBed::with_long_poll(Duration::from_secs(3600)).await;
    let running = bed.start(bed.worker());
    bed.wait_for_claims(1).await;
    running.stop().await;
}

#[tokio::test]
async fn deadline_ends_the_task_without_report() {
    let bed = TestBed::with_claim_timeout(Duration::from_secs(4 * 3600)).await;
    let started = bed.marker("started");
    let script = format!("echo > {}; exec sleep 600", started.display());
    let task_id = bed.create(sh(&script));
    let running = bed.start(bed.worker());
    bed.wait_for_file(&started).await;
    bed.taskcluster.advance(Duration::from_secs(2 * 3600));
    bed.wait_for_reports(1).await;
    running.stop().await;
    let status = bed.resolved(&task_id).await;
    assert_eq!(status.state_and_reason(), "exception/deadline-exceeded");
    assert_eq!(bed.resolutions(), ["exception/deadline-exceeded"]);
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn task_claimed_during_stop_is_returned_if_retryable() {
    for (retries, expected) in [
        (1, vec![Some("worker-shutdown"), None]),
        (0, vec![Some("completed")]),
    ] {
        let bed = TestBed::with_long_poll(Duration::from_secs(3600)).await;
        let running = bed.start(bed.worker());
        bed.wait_for_new_claim().await;
        // No await before `stop`: the worker receives the task after it was stopped.
        let task_id = bed.create_with(json!({ "payload": sh("true"), "retries": retries }));
        running.stop().await;
        let status = bed.taskcluster.status(&task_id).expect("an existing task");
        assert_eq!(reasons(&status), expected, "{retries} retries");
    }
}

/// Returns the reason of each run, `None` for a pending one.
fn reasons(status: &TaskSnapshot) -> Vec<Option<&'static str>> {
    status.runs.iter().map(|run| run.reason_resolved).collect()
}
