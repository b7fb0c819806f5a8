//! Refused credentials, lost responses, conflicts and lost claims.

use std::time::Duration;

use runtime_mocks::taskcluster::{Fault, FaultRule};

use super::{status, unavailable};
use crate::support::{BlockedTask, EXPIRED_CLAIM_AGE, ManualTime, RECLAIM_AGE, TestBed, sh};

/// An interval longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn refused_credentials_cause_an_early_reclaim() {
    for method in [
        "queue.createArtifact",
        "queue.reportCompleted",
        "queue.reclaimTask",
    ] {
        let bed = TestBed::new().await;
        let task = BlockedTask::create(&bed);
        let running = bed.start(bed.worker());
        bed.wait_for_file(&task.started).await;
        let fault = bed.taskcluster.inject(status(method, 401).times(1));
        bed.taskcluster.advance(RECLAIM_AGE);
        task.release();
        task.assert_completed_in_first_run(&bed, method).await;
        running.stop().await;
        assert_eq!(fault.hits(), 1, "{method}");
    }
}

#[tokio::test]
async fn report_with_lost_response_is_recognized() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("true"));
    bed.taskcluster
        .inject(FaultRule::new("queue.reportCompleted", Fault::LostResponse).times(2));
    let running = bed.start(bed.worker());
    let status = bed.resolved(&task_id).await;
    bed.wait_for_reports(1).await;
    running.stop().await;
    assert_eq!(
        (status.state_and_reason().as_str(), status.runs.len()),
        ("completed", 1)
    );
    assert_eq!(bed.resolutions(), ["completed"]);
}

#[tokio::test]
async fn claim_with_lost_response_expires() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("true"));
    let fault = bed
        .taskcluster
        .inject(FaultRule::new("queue.claimWork", Fault::LostResponse).times(1));
    let running = bed.start(bed.worker());
    bed.wait_for_hits(&fault, 1).await;
    bed.wait_until_claimed(&task_id).await;
    bed.taskcluster.advance(EXPIRED_CLAIM_AGE);
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "completed");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
}

#[tokio::test]
async fn lost_run_is_left_to_the_other_worker() {
    let bed = TestBed::new().await;
    let pid = bed.marker("pid");
    let script = format!(
        "test $RUN_ID = 1 || {{ echo $$ > {}; exec sleep 600; }}",
        pid.display()
    );
    let task_id = bed.create(sh(&script));
    bed.taskcluster
        .inject(unavailable("queue.reclaimTask").on_path("/runs/0/"));
    let first = bed.start(bed.worker());
    bed.wait_for_file(&pid).await;
    bed.taskcluster.advance(EXPIRED_CLAIM_AGE);
    let second = bed.start(bed.other_worker());
    let status = bed.resolved(&task_id).await;
    bed.wait_for_reports(2).await;
    first.stop().await;
    second.stop().await;
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(
        (status.state_and_reason().as_str(), status.runs.len()),
        ("completed", 2)
    );
    let mut resolutions = bed.resolutions();
    resolutions.sort_unstable();
    assert_eq!(resolutions, ["abandoned: the claim was lost", "completed"]);
    let pid = bed.pid(&pid);
    // The folder of a lost run is removed after the stop if its processes need longer to end.
    crate::support::wait_until(|| {
        !crate::support::is_alive(pid) && bed.leftover_files().is_empty()
    })
    .await;
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn conflict_during_upload_ends_the_task() {
    let bed = TestBed::new().await;
    let task = BlockedTask::create(&bed);
    // Only the upload can notice the cancellation.
    let running = bed.start(bed.worker().cancel_poll_interval(NEVER));
    bed.wait_for_file(&task.started).await;
    let conflict = status("queue.createArtifact", 409);
    let conflict = bed.taskcluster.inject(conflict);
    let put = bed.taskcluster.inject(unavailable("s3.put"));
    bed.cancel(&task.task_id);
    task.release();
    bed.wait_for_reports(1).await;
    running.stop().await;
    assert_eq!(bed.resolutions(), ["exception/canceled"]);
    assert!(conflict.hits() > 0);
    assert_eq!(put.hits(), 0, "no upload");
}

#[tokio::test]
async fn cancellation_during_the_report_is_recognized() {
    let bed = TestBed::new().await;
    let task = BlockedTask::create(&bed);
    // Only the report can notice the cancellation.
    let running = bed.start(bed.worker().cancel_poll_interval(NEVER));
    bed.wait_for_file(&task.started).await;
    // Several steps of the manual time.
    let slow = Fault::Latency { millis: 10_000 };
    let report = FaultRule::new("queue.reportCompleted", slow);
    let report = bed.taskcluster.inject(report);
    let time = ManualTime::begin(&bed.taskcluster);
    task.release();
    time.advance_until(|| report.hits() > 0).await;
    bed.cancel(&task.task_id);
    time.advance_until(|| !bed.reports().is_empty()).await;
    drop(time);
    running.stop().await;
    assert_eq!(bed.resolutions(), ["exception/canceled"]);
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn quarantined_worker_resumes_afterwards() {
    let bed = TestBed::new().await;
    bed.quarantine(Duration::from_secs(600));
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker());
    bed.wait_for_new_claim().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    assert_eq!(status.runs[0].worker_id, None);
    bed.taskcluster.advance(Duration::from_secs(601));
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    running.stop().await;
}
