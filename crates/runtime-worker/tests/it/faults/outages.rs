//! Outages of a minute at each phase of a task, with the default timing of a worker.

use std::time::Duration;

use runtime_core::monitor::Level;
use runtime_mocks::MockMonitor;
use runtime_mocks::taskcluster::{Fault, FaultHandle, FaultRule};
use runtime_worker::{Timing, WorkerBuilder};

use super::{status, unavailable};
use crate::support::{BlockedTask, ManualTime, RECLAIM_AGE, RunningWorker, TestBed};

const MINUTE: Duration = Duration::from_secs(60);

impl TestBed {
    /// Continues an outage for a minute after its first effect, and ends it.
    async fn outage_of_a_minute(&self, time: &ManualTime<'_>, fault: &FaultHandle) {
        time.advance_until(|| fault.hits() > 0).await;
        time.advance(MINUTE).await;
        // The worker retries, but on a busy machine perhaps not within the minute.
        time.advance_until(|| fault.hits() > 1).await;
        self.taskcluster.clear_faults();
    }

    /// Advances time until the task has completed, since the delays have their default length.
    async fn assert_recovers(
        &self,
        time: ManualTime<'_>,
        task: &BlockedTask,
        running: RunningWorker,
        case: &str,
    ) {
        time.advance_until(|| !self.reports().is_empty()).await;
        drop(time);
        task.assert_completed_in_first_run(self, case).await;
        running.stop().await;
        assert_eq!(self.resolutions(), ["completed"], "{case}");
        self.assert_no_leftovers();
    }
}

/// Returns a worker whose client gives up after half a second, so that the worker itself retries.
fn worker_with_short_client_retries(bed: &TestBed) -> WorkerBuilder {
    bed.worker().timing(Timing::default())
}

/// The kinds of outages.
fn outages(method: &str) -> [FaultRule; 2] {
    let reset = FaultRule::new(method, Fault::Reset { after: 0 });
    [unavailable(method), reset]
}

/// Asserts that a task completes in spite of an outage of `method`.
async fn assert_survives_outage(method: &str, worker: fn(&TestBed) -> WorkerBuilder) {
    for outage in outages(method) {
        let bed = TestBed::new().await;
        let case = format!("{outage:?}");
        let fault = bed.taskcluster.inject(outage);
        let task = BlockedTask::create(&bed);
        task.release();
        let time = ManualTime::begin(&bed.taskcluster);
        let running = bed.start(worker(&bed));
        bed.outage_of_a_minute(&time, &fault).await;
        bed.assert_recovers(time, &task, running, &case).await;
    }
}

#[tokio::test]
async fn outage_at_claim_only_delays() {
    assert_survives_outage("queue.claimWork", worker_with_short_client_retries).await;
}

#[tokio::test]
async fn outage_during_the_task_only_delays() {
    for method in ["queue.status", "queue.reclaimTask", "queue.*"] {
        for outage in outages(method) {
            let bed = TestBed::new().await;
            let case = format!("{outage:?}");
            let task = BlockedTask::create(&bed);
            let running = bed.start(worker_with_short_client_retries(&bed));
            bed.wait_for_file(&task.started).await;
            let fault = bed.taskcluster.inject(outage);
            let time = ManualTime::begin(&bed.taskcluster);
            bed.taskcluster.advance(RECLAIM_AGE);
            bed.outage_of_a_minute(&time, &fault).await;
            task.release();
            bed.assert_recovers(time, &task, running, &case).await;
        }
    }
}

#[tokio::test]
async fn outage_at_the_report_only_delays() {
    assert_survives_outage("queue.reportCompleted", worker_with_short_client_retries).await;
}

#[tokio::test]
async fn outage_at_uploads_only_delays() {
    let default_worker = |bed: &TestBed| {
        let worker = bed.worker_with_default_client();
        worker.timing(Timing::default())
    };
    for method in ["queue.createArtifact", "s3.put"] {
        assert_survives_outage(method, default_worker).await;
    }
}

#[tokio::test]
async fn failed_claims_are_logged_once_then_summarized() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let fault = bed.taskcluster.inject(status("queue.claimWork", 403));
    let time = ManualTime::begin(&bed.taskcluster);
    let worker = bed.worker_with_monitor(monitor);
    let running = bed.start(worker.timing(Timing::default()));
    let lines = |part: &str| {
        let lines = recorded.lines().into_iter();
        lines
            .filter(|it| it.level == Level::WARN && it.message.contains(part))
            .count()
    };
    time.advance_until(|| fault.hits() > 20).await;
    assert_eq!(lines("cannot claim"), 1, "{:#?}", recorded.lines());
    time.advance_until(|| lines("still cannot claim, ") == 1)
        .await;
    bed.taskcluster.clear_faults();
    time.advance_until(|| recorded.has_line("claiming again after "))
        .await;
    assert_eq!(lines("cannot claim"), 2);
    drop(time);
    running.stop().await;
}

#[tokio::test]
async fn cancellation_is_noticed_after_an_outage() {
    let bed = TestBed::new().await;
    let task = BlockedTask::create(&bed);
    let running = bed.start(worker_with_short_client_retries(&bed));
    bed.wait_for_file(&task.started).await;
    let fault = bed.taskcluster.inject(status("queue.status", 503));
    let time = ManualTime::begin(&bed.taskcluster);
    bed.cancel(&task.task_id);
    bed.outage_of_a_minute(&time, &fault).await;
    assert_eq!(bed.resolutions(), [""; 0], "not noticed yet");
    time.advance_until(|| !bed.reports().is_empty()).await;
    drop(time);
    running.stop().await;
    assert_eq!(bed.resolutions(), ["exception/canceled"]);
    bed.assert_no_leftovers();
}
