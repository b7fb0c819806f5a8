//! Full disks, failed uploads, and shutdowns during uploads.

use std::time::Duration;

use runtime_core::{StopStage, Stoppable as _, TaskId};
use runtime_mocks::taskcluster::{Fault, FaultRule};
use serde_json::json;

use super::status;
use crate::support::{TestBed, sh};

/// Prints more than what a log keeps in memory.
const LONG_OUTPUT: &str = "seq -f 'line %.0f' 10000";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn full_disk_is_an_unavailable_resource() {
    let bed = TestBed::new().await;
    let task_id = TaskId::random().to_string();
    let worker = bed.worker();
    // `/dev/full` fails every write as a full disk does.
    let log = bed.process_folder().join(format!("{task_id}-0.log"));
    std::os::unix::fs::symlink("/dev/full", log).expect("create a link");
    bed.create_with(json!({ "taskId": task_id, "payload": sh(LONG_OUTPUT) }));
    let running = bed.start(worker);
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "exception/resource-unavailable");
    // No byte of it is on the disk.
    let log = bed.log(&task_id).await;
    assert!(log.contains("\nline 1\n"), "{log}");
    assert!(
        log.ends_with("so the end of this log is missing\n"),
        "{log}"
    );
    bed.assert_no_leftovers();
}

#[cfg(unix)]
#[tokio::test]
async fn uncreatable_file_of_a_long_log_is_an_internal_error() {
    let bed = TestBed::new().await;
    let task_id = TaskId::random().to_string();
    let worker = bed.worker();
    std::fs::create_dir(bed.process_folder().join(format!("{task_id}-0.log")))
        .expect("create a folder");
    bed.create_with(json!({ "taskId": task_id, "payload": sh(LONG_OUTPUT) }));
    let short = bed.create(sh("true"));
    let running = bed.start(worker);
    let status = bed.resolved(&task_id).await;
    let short = bed.resolved(&short).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "exception/internal-error");
    assert_eq!(short.state_and_reason(), "completed");
}

#[tokio::test]
async fn failed_log_upload_prevents_completion() {
    let bed = TestBed::new().await;
    bed.taskcluster.inject(status("s3.put", 403));
    let task_id = bed.create(sh("true"));
    let running = bed.start(bed.worker());
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "exception/resource-unavailable");
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn immediate_stop_reports_before_uploads() {
    let bed = TestBed::new().await;
    bed.taskcluster
        .inject(FaultRule::new("s3.put", Fault::Stall { after: 0 }));
    let started = bed.marker("started");
    let script = format!("echo > {}; exec sleep 600", started.display());
    let task_id = bed.create(sh(&script));
    // The default client would wait for more than a minute.
    let running = bed.start(bed.worker_with_default_client());
    bed.wait_for_file(&started).await;
    let budget = Duration::from_secs(4);
    running.tracker().stop_within(StopStage::Now, budget);
    let status = bed
        .wait_for_status(&task_id, |status| status.runs.len() == 2)
        .await;
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    running.wait().await;
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn graceful_stop_becomes_immediate_at_its_deadline() {
    let bed = TestBed::new().await;
    let started = bed.marker("started");
    let script = format!("echo > {}; exec sleep 600", started.display());
    let task_id = bed.create(sh(&script));
    let running = bed.start(bed.worker());
    bed.wait_for_file(&started).await;
    // Less than the shutdown reserve of 30 s.
    running
        .tracker()
        .stop_within(StopStage::Graceful, Duration::from_secs(29));
    running.wait().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn stop_during_uploads_reports_the_exception_first() {
    let bed = TestBed::new().await;
    let stalled = bed
        .taskcluster
        .inject(FaultRule::new("s3.put", Fault::Stall { after: 0 }));
    let task_id = bed.create(json!({ "command": "not an array" }));
    let running = bed.start(bed.worker());
    bed.wait_for_hits(&stalled, 1).await;
    running
        .tracker()
        .stop_within(StopStage::Now, Duration::from_secs(4));
    let status = bed.resolved(&task_id).await;
    assert_eq!(status.state_and_reason(), "exception/malformed-payload");
    running.wait().await;
}

#[tokio::test]
async fn interrupted_log_upload_is_repeated_after_the_report() {
    let bed = TestBed::new().await;
    let stalled = FaultRule::new("s3.put", Fault::Stall { after: 0 });
    let stalled = bed.taskcluster.inject(stalled.times(1));
    let all = FaultRule::new("s3.put", Fault::Latency { millis: 0 });
    let all = bed.taskcluster.inject(all);
    let task_id = bed.create(sh("echo precious"));
    let running = bed.start(bed.worker_with_default_client());
    bed.wait_for_hits(&stalled, 1).await;
    running.stop_now().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    assert_eq!(status.runs[0].reason_resolved, Some("worker-shutdown"));
    assert_eq!(all.hits(), 2, "the log was uploaded again");
    bed.assert_no_leftovers();
}

#[tokio::test]
async fn refused_log_upload_is_not_retried() {
    let bed = TestBed::new().await;
    let refusal = status("queue.createArtifact", 400).on_path("live_backing.log");
    let refusal = bed.taskcluster.inject(refusal);
    let (_, state) = bed.run_task(sh("true")).await;
    assert_eq!(state, "exception/resource-unavailable");
    assert_eq!(refusal.hits(), 1);
    bed.assert_no_leftovers();
}
