//! The queue refuses credentials, loses answers, or gives a task to somebody else, at each phase of a task.

use std::time::Duration;

use runtime_mocks::taskcluster::{Fault, FaultRule};

use super::{down, refused};
use crate::support::{Bench, Held, MORE_THAN_A_CLAIM, NEARLY_A_CLAIM, SlowMotion, sh, state};

/// An interval that no test waits for.
const NEVER: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn refused_credentials_are_replaced_by_an_early_reclaim() {
    for method in [
        "queue.createArtifact",
        "queue.reportCompleted",
        "queue.reclaimTask",
    ] {
        let bench = Bench::new().await;
        let task = Held::create(&bench);
        let running = bench.start(bench.worker());
        bench.file_appears(&task.started).await;
        let fault = bench.taskcluster.inject(refused(method, 401).times(1));
        bench.taskcluster.advance(NEARLY_A_CLAIM);
        task.release();
        task.completes_in_its_first_run(&bench, method).await;
        running.stop().await;
        assert_eq!(fault.hits(), 1, "{method}");
    }
}

#[tokio::test]
async fn a_report_whose_answer_is_lost_is_known_to_have_arrived() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("true"));
    bench
        .taskcluster
        .inject(FaultRule::new("queue.reportCompleted", Fault::LostResponse).times(2));
    let running = bench.start(bench.worker());
    let status = bench.resolved(&task_id).await;
    bench.reported(1).await;
    running.stop().await;
    assert_eq!(
        (state(&status).as_str(), status.runs.len()),
        ("completed", 1)
    );
    assert_eq!(bench.resolutions(), ["completed"]);
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_expires_and_its_task_runs_again() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("true"));
    let fault = bench
        .taskcluster
        .inject(FaultRule::new("queue.claimWork", Fault::LostResponse).times(1));
    let running = bench.start(bench.worker());
    bench.hit(&fault, 1).await;
    bench.running(&task_id).await;
    bench.taskcluster.advance(MORE_THAN_A_CLAIM);
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "completed");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
}

#[tokio::test]
async fn a_run_that_another_worker_took_over_is_left_to_it() {
    let bench = Bench::new().await;
    let pid = bench.mark("pid");
    let script = format!(
        "test $RUN_ID = 1 || {{ echo $$ > {}; exec sleep 600; }}",
        pid.display()
    );
    let task_id = bench.create(sh(&script));
    bench
        .taskcluster
        .inject(down("queue.reclaimTask").on_path("/runs/0/"));
    let first = bench.start(bench.worker());
    bench.file_appears(&pid).await;
    bench.taskcluster.advance(MORE_THAN_A_CLAIM);
    let second = bench.start(bench.other_worker());
    let status = bench.resolved(&task_id).await;
    bench.reported(2).await;
    first.stop().await;
    second.stop().await;
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(
        (state(&status).as_str(), status.runs.len()),
        ("completed", 2)
    );
    let mut resolutions = bench.resolutions();
    resolutions.sort_unstable();
    assert_eq!(resolutions, ["abandoned: the claim was lost", "completed"]);
    assert!(!crate::support::is_alive(bench.pid(&pid)));
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn a_conflict_during_an_upload_ends_the_task_quietly() {
    let bench = Bench::new().await;
    let task = Held::create(&bench);
    // Nothing but the upload may notice.
    let running = bench.start(bench.worker().cancel_poll(NEVER));
    bench.file_appears(&task.started).await;
    let conflict = refused("queue.createArtifact", 409);
    let conflict = bench.taskcluster.inject(conflict);
    let put = bench.taskcluster.inject(down("s3.put"));
    bench.cancel(&task.task_id);
    task.release();
    bench.reported(1).await;
    running.stop().await;
    assert_eq!(bench.resolutions(), ["exception/canceled"]);
    assert!(conflict.hits() > 0);
    assert_eq!(put.hits(), 0, "nothing is uploaded");
}

#[tokio::test]
async fn a_task_that_is_cancelled_while_its_report_is_on_its_way_is_not_said_to_be_completed() {
    let bench = Bench::new().await;
    let task = Held::create(&bench);
    // Nothing but the report may notice.
    let running = bench.start(bench.worker().cancel_poll(NEVER));
    bench.file_appears(&task.started).await;
    // Several steps of the time that passes here.
    let slow = Fault::Latency { millis: 10_000 };
    let report = FaultRule::new("queue.reportCompleted", slow);
    let report = bench.taskcluster.inject(report);
    let time = SlowMotion::begin(&bench.taskcluster);
    task.release();
    time.pass_until(|| report.hits() > 0).await;
    bench.cancel(&task.task_id);
    time.pass_until(|| !bench.reports().is_empty()).await;
    drop(time);
    running.stop().await;
    assert_eq!(bench.resolutions(), ["exception/canceled"]);
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn a_quarantined_worker_gets_nothing_and_goes_on_afterwards() {
    let bench = Bench::new().await;
    bench.quarantine(Duration::from_secs(600));
    let task_id = bench.create(sh("true"));
    let running = bench.start(bench.worker());
    bench.claiming().await;
    let status = bench.taskcluster.status(&task_id).expect("the task exists");
    assert_eq!(status.runs[0].worker_id, None);
    bench.taskcluster.advance(Duration::from_secs(601));
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
    running.stop().await;
}
