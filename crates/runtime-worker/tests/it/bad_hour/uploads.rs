//! Disks that are full, logs that cannot be uploaded, and notices that leave no time for uploads.

use std::time::Duration;

use runtime_core::{StopStage, Stoppable as _, TaskId};
use runtime_mocks::taskcluster::{Fault, FaultRule};
use serde_json::json;

use super::refused;
use crate::support::{Bench, sh, state};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_an_internal_error_and_never_a_log_with_holes() {
    let bench = Bench::new().await;
    let task_id = TaskId::random().to_string();
    let worker = bench.worker();
    // Refuses every write as a full disk does.
    let log = bench.run_folder().join(format!("{task_id}-0.log"));
    std::os::unix::fs::symlink("/dev/full", log).expect("the place is free");
    bench.create_with(json!({ "taskId": task_id, "payload": sh("echo lost") }));
    let running = bench.start(worker);
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "exception/internal-error");
    bench.assert_nothing_is_left();
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_that_cannot_even_be_made_is_an_internal_error() {
    let bench = Bench::new().await;
    let task_id = TaskId::random().to_string();
    let worker = bench.worker();
    std::fs::create_dir(bench.run_folder().join(format!("{task_id}-0.log"))).expect("free");
    bench.create_with(json!({ "taskId": task_id, "payload": sh("true") }));
    let running = bench.start(worker);
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "exception/internal-error");
}

#[tokio::test]
async fn a_task_whose_log_cannot_be_uploaded_is_not_said_to_be_completed() {
    let bench = Bench::new().await;
    bench.taskcluster.inject(refused("s3.put", 403));
    let task_id = bench.create(sh("true"));
    let running = bench.start(bench.worker());
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "exception/resource-unavailable");
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn a_notice_with_little_time_is_obeyed_before_uploads_that_hang() {
    let bench = Bench::new().await;
    bench
        .taskcluster
        .inject(FaultRule::new("s3.put", Fault::Stall { after: 0 }));
    let started = bench.mark("started");
    let script = format!("echo > {}; exec sleep 600", started.display());
    let task_id = bench.create(sh(&script));
    // Its client would wait for longer than a minute.
    let running = bench.start(bench.worker_with_default_client());
    bench.file_appears(&started).await;
    let budget = Duration::from_secs(4);
    running.tracker().stop_within(StopStage::Now, budget);
    let status = bench.until(&task_id, |status| status.runs.len() == 2).await;
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    running.ended().await;
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn a_graceful_stop_with_a_deadline_becomes_an_immediate_one() {
    let bench = Bench::new().await;
    let started = bench.mark("started");
    let script = format!("echo > {}; exec sleep 600", started.display());
    let task_id = bench.create(sh(&script));
    let running = bench.start(bench.worker());
    bench.file_appears(&started).await;
    // Less than the reserve of 30 seconds.
    running
        .tracker()
        .stop_within(StopStage::Graceful, Duration::from_secs(29));
    running.ended().await;
    let status = bench.taskcluster.status(&task_id).expect("the task exists");
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn an_exception_is_reported_before_its_uploads_when_the_worker_stops_meanwhile() {
    let bench = Bench::new().await;
    let stalled = bench
        .taskcluster
        .inject(FaultRule::new("s3.put", Fault::Stall { after: 0 }));
    let task_id = bench.create(json!({ "command": "not an array" }));
    let running = bench.start(bench.worker());
    bench.hit(&stalled, 1).await;
    running
        .tracker()
        .stop_within(StopStage::Now, Duration::from_secs(4));
    let status = bench.resolved(&task_id).await;
    assert_eq!(state(&status), "exception/malformed-payload");
    running.ended().await;
}

#[tokio::test]
async fn an_upload_of_the_log_that_a_stop_cuts_short_is_made_up_for_after_the_report() {
    let bench = Bench::new().await;
    let stalled = FaultRule::new("s3.put", Fault::Stall { after: 0 });
    let stalled = bench.taskcluster.inject(stalled.times(1));
    let all = FaultRule::new("s3.put", Fault::Latency { millis: 0 });
    let all = bench.taskcluster.inject(all);
    let task_id = bench.create(sh("echo precious"));
    let running = bench.start(bench.worker_with_default_client());
    bench.hit(&stalled, 1).await;
    running.stop_now().await;
    let status = bench.taskcluster.status(&task_id).expect("the task exists");
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    assert_eq!(all.hits(), 2, "the bytes of the log come in the end");
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn an_upload_of_the_log_that_was_refused_is_not_tried_again() {
    let bench = Bench::new().await;
    let refused = refused("queue.createArtifact", 400).on_path("live_backing.log");
    let refused = bench.taskcluster.inject(refused);
    let (_, state) = bench.outcome(sh("true")).await;
    assert_eq!(state, "exception/resource-unavailable");
    assert_eq!(refused.hits(), 1);
    bench.assert_nothing_is_left();
}
