//! Cancellation, deadline and shutdown at each stage of a task.

use std::time::{Duration, Instant};

use runtime_core::monitor::Level;
use runtime_core::{StopStage, Stoppable as _};
use runtime_mocks::MockMonitor;
use runtime_mocks::taskcluster::{Fault, FaultRule, TaskSnapshot};
use runtime_worker::Timing;
use serde_json::json;

use super::stage_hook::{STAGES, Stage, StageAction, StageHook};
use super::unavailable;
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
async fn task_is_given_back_after_the_claim_is_answered() {
    let poll = Duration::from_secs(1);
    let bed = TestBed::with_long_poll(poll).await;
    let hook = StageHook::new(Stage::Started, StageAction::Block);
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker().plugin(hook.clone()));
    hook.reached().await;
    bed.wait_for_claims(2).await;
    let sent = Instant::now();
    running.tracker().stop_now();
    let status = bed
        .wait_for_status(&task_id, |status| status.runs.len() == 2)
        .await;
    // The queue need not notice that a connection was closed. Then it would return the run to the claim.
    assert!(sent.elapsed() > poll / 2, "{:?}", sent.elapsed());
    running.wait().await;
    assert_eq!(reasons(&status), [Some("worker-shutdown"), None]);
}

#[tokio::test]
async fn unanswered_claim_delays_the_return() {
    let bed = TestBed::new().await;
    let hook = StageHook::new(Stage::Started, StageAction::Block);
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker().plugin(hook.clone()));
    hook.reached().await;
    // The queue may still work on claims whose connection was closed.
    let fault = FaultRule::new("queue.claimWork", Fault::Reset { after: 0 });
    let fault = bed.taskcluster.inject(fault);
    bed.wait_for_hits(&fault, 1).await;
    let start = Instant::now();
    running.tracker().stop_now();
    bed.wait_for_status(&task_id, |status| status.runs.len() == 2)
        .await;
    running.wait().await;
    // The long poll timeout of the tests is 2 s.
    assert!(
        start.elapsed() > Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn near_deadline_does_not_wait_for_the_claim() {
    let bed = TestBed::with_long_poll(Duration::from_secs(3600)).await;
    let hook = StageHook::new(Stage::Started, StageAction::Block);
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker().plugin(hook.clone()));
    hook.reached().await;
    bed.wait_for_claims(2).await;
    running
        .tracker()
        .stop_within(StopStage::Now, Duration::from_secs(20));
    running.wait().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    let returned = Some("worker-shutdown");
    // The claim in flight got the task, and it was given back again.
    assert_eq!(reasons(&status), [returned, returned, None]);
}

#[tokio::test]
async fn idle_worker_waits_only_for_its_claim() {
    let bed = TestBed::with_long_poll(Duration::from_secs(1)).await;
    let (monitor, recorded) = MockMonitor::new();
    let running = bed.start(bed.worker_with_monitor(monitor));
    bed.wait_for_claims(1).await;
    let start = Instant::now();
    running.stop().await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    let line = "stopping: waiting up to 2 s for the claim in flight";
    assert!(recorded.has_line(line), "{:?}", recorded.lines());
}

#[tokio::test]
async fn worker_without_claim_in_flight_stops_at_once() {
    let bed = TestBed::new().await;
    let fault = bed.taskcluster.inject(unavailable("queue.claimWork"));
    let mut timing = Timing::default();
    timing.claim_retry_delay = Duration::from_secs(3600);
    let running = bed.start(bed.worker_with_default_client().timing(timing));
    bed.wait_for_hits(&fault, 1).await;
    // The error has arrived a moment later.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    running.stop().await;
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn immediate_stop_ends_retries_and_uploads() {
    for method in ["queue.reportException", "s3.put", "queue.*"] {
        let bed = TestBed::new().await;
        let started = bed.marker("started");
        let script = format!("echo > {}; exec sleep 600", started.display());
        bed.create(sh(&script));
        let mut timing = Timing::default();
        timing.shutdown_timeout = Duration::from_secs(3);
        timing.empty_claim_delay = Duration::from_secs(3600);
        // The default client retries for minutes.
        let worker = bed.worker_with_default_client().capacity(1);
        let running = bed.start(worker.timing(timing));
        bed.wait_for_file(&started).await;
        let fault = bed.taskcluster.inject(unavailable(method));
        let start = Instant::now();
        running.stop_now().await;
        let took = start.elapsed();
        // Without the limit, retries take minutes.
        assert!(took < Duration::from_secs(60), "{method}: {took:?}");
        assert!(fault.hits() > 0, "{method}");
    }
}

#[tokio::test]
async fn task_is_logged_from_claim_to_resolution() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let task_id = bed.create_with(json!({
        "payload": sh("exit 1"),
        "metadata": { "name": "two\nlines", "description": "d", "owner": "o@example.com", "source": "https://example.com" },
    }));
    let running = bed.start(bed.worker_with_monitor(monitor));
    bed.wait_for_reports(1).await;
    running.stop().await;
    let lines = recorded.lines().into_iter();
    let info = lines.filter(|line| line.level == Level::INFO);
    let info: Vec<_> = info.map(|line| line.message).collect();
    let claimed = format!("claimed task {task_id}/0 \"two\\nlines\"");
    assert!(info.contains(&claimed), "{info:?}");
    let resolved = format!("resolved task {task_id}/0: failed after ");
    assert!(
        info.iter().any(|line| line.starts_with(&resolved)),
        "{info:?}"
    );
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
