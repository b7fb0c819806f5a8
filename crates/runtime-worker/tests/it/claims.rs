//! Claims: when, how many, and for how long.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{LifeCycleTracker, ShutdownSource as _, StopStage, Stoppable as _};
use runtime_mocks::taskcluster::TaskSnapshot;
use runtime_worker::admission::{Admission, AdmissionRefusal};
use runtime_worker::{MaxLifeTime, Timing};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{BlockedTask, EXPIRED_CLAIM_AGE, RECLAIM_AGE, TestBed, sh};

#[tokio::test]
async fn claim_is_renewed_while_a_task_runs() {
    let bed = TestBed::new().await;
    let task = BlockedTask::create(&bed);
    let running = bed.start(bed.worker());
    bed.wait_for_file(&task.started).await;
    let status = bed.taskcluster.status(&task.task_id);
    let claimed = status.expect("an existing task").runs[0].taken_until;
    bed.taskcluster.advance(RECLAIM_AGE);
    let is_renewed = |status: &TaskSnapshot| status.runs[0].taken_until > claimed;
    bed.wait_for_status(&task.task_id, is_renewed).await;
    bed.taskcluster.advance(RECLAIM_AGE);
    task.release();
    task.assert_completed_in_first_run(&bed, "after two claims")
        .await;
    running.stop().await;
}

#[tokio::test]
async fn lost_claim_ends_the_task_without_report() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("test \"$RUN\" = 1 || sleep 600"));
    let running = bed.start(bed.worker());
    bed.wait_until_claimed(&task_id).await;
    bed.taskcluster.advance(EXPIRED_CLAIM_AGE);
    bed.wait_for_status(&task_id, |status| status.runs.len() == 2)
        .await;
    running.stop_now().await;
    let status = bed.taskcluster.status(&task_id).expect("an existing task");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
}

#[tokio::test]
async fn one_claim_fills_the_capacity() {
    let bed = TestBed::new().await;
    let go = bed.marker("go");
    let started = ["a", "b", "c", "d"].map(|name| bed.marker(name));
    for mark in &started {
        let (mark, go) = (mark.display(), go.display());
        bed.create(sh(&format!(
            "echo > {mark}; until test -e {go}; do sleep 0.05; done"
        )));
    }
    let running = bed.start(bed.worker().capacity(started.len()));
    for mark in &started {
        bed.wait_for_file(mark).await;
    }
    assert_eq!(bed.claim_count(), 1, "no claim without free capacity");
    let one_more = bed.create(sh("true"));
    std::fs::write(&go, "").expect("access the folder");
    assert_eq!(
        bed.resolved(&one_more).await.state_and_reason(),
        "completed"
    );
    running.stop().await;
    assert_eq!(bed.resolutions(), ["completed"; 5]);
}

#[tokio::test]
async fn worker_stops_after_its_last_task() {
    let bed = TestBed::new().await;
    let tasks: Vec<_> = (0..5).map(|_| bed.create(sh("exit 1"))).collect();
    // The last claim has room for two tasks, of which one is left.
    let running = bed.start(bed.worker().capacity(2).max_tasks(Some(3)));
    let tracker = running.tracker();
    running.wait().await;
    assert_eq!(tracker.stage(), StopStage::Graceful);
    assert_eq!(bed.resolutions(), ["failed"; 3]);
    let runs = tasks.iter().map(|task_id| {
        let status = bed.taskcluster.status(task_id);
        status.expect("an existing task").state_and_reason()
    });
    let pending = runs.filter(|state| state == "pending");
    assert_eq!(pending.count(), 2, "nothing more is claimed");
}

#[tokio::test]
async fn stop_does_not_wait_for_max_tasks() {
    let bed = TestBed::new().await;
    let task = BlockedTask::create(&bed);
    let running = bed.start(bed.worker().capacity(2).max_tasks(Some(2)));
    bed.wait_for_file(&task.started).await;
    task.release();
    running.stop().await;
    assert_eq!(bed.resolutions(), ["completed"]);
}

#[tokio::test(start_paused = true)]
async fn max_life_time_ends_once() {
    let start = tokio::time::Instant::now();
    let mut source = MaxLifeTime::new(Duration::from_secs(60));
    // Whenever it is polled.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let notice = source.next().await.expect("a notice");
    assert_eq!(notice.stage, StopStage::Graceful);
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    assert!(source.next().await.is_none());
    assert!(MaxLifeTime::new(Duration::MAX).next().await.is_none());
}

#[tokio::test]
async fn extreme_timing_is_no_overflow() {
    type Change = fn(&mut Timing, Duration);
    let changes: [Change; 11] = [
        |timing, value| timing.cancel_poll_interval = value,
        |timing, value| timing.reclaim_margin = value,
        |timing, value| timing.claim_grace = value,
        |timing, value| timing.retry_delay = value,
        |timing, value| timing.claim_retry_delay = value,
        |timing, value| timing.long_poll_timeout = value,
        |timing, value| timing.empty_claim_delay = value,
        |timing, value| timing.kill_timeout = value,
        |timing, value| timing.hang_timeout = value,
        // A shorter one leaves no time for the report.
        |timing, value| timing.shutdown_timeout = value.max(Duration::from_secs(5)),
        |timing, value| timing.shutdown_reserve = value,
    ];
    let run = async |value, change: Change, index| {
        let bed = TestBed::new().await;
        let mut timing = Timing::default();
        timing.empty_claim_delay = Duration::from_millis(1);
        change(&mut timing, value);
        let task = BlockedTask::create(&bed);
        let running = bed.start(bed.worker().timing(timing));
        bed.wait_for_file(&task.started).await;
        // An immediate stop uses nearly all of them.
        running.stop_now().await;
        let resolutions = bed.resolutions();
        assert_eq!(
            resolutions,
            ["exception/worker-shutdown"],
            "{index} at {value:?}"
        );
    };
    for value in [Duration::ZERO, Duration::from_millis(1), Duration::MAX] {
        let runs = changes.iter().enumerate();
        let runs = runs.map(|(index, change)| run(value, *change, index));
        futures_util::future::join_all(runs).await;
    }
}

/// Returns an array of arrays with this depth.
fn nested(depth: usize) -> serde_json::Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

#[tokio::test]
async fn unreadable_definition_spares_its_neighbours() {
    for field in ["payload", "extra"] {
        let bed = TestBed::new().await;
        let mut deep = json!({ "payload": sh("true") });
        deep[field]["x"] = nested(140);
        let deep = bed.create_with(deep);
        let plain = bed.create(sh("true"));
        let running = bed.start(bed.worker());
        let resolved = bed.resolved(&deep).await;
        assert_eq!(
            resolved.state_and_reason(),
            "exception/malformed-payload",
            "{field}"
        );
        assert_eq!(bed.resolved(&plain).await.state_and_reason(), "completed");
        running.stop().await;
        let log = bed.log(&deep).await;
        let expected =
            format!("Malformed payload: `{field}` of the task definition cannot be read: ");
        assert!(log.contains(&expected), "{log}");
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn stopped_worker_claims_nothing() {
    let bed = TestBed::new().await;
    bed.create(sh("true"));
    for stage in [StopStage::Graceful, StopStage::Now] {
        let stop = LifeCycleTracker::new();
        stop.stop_within(stage, Duration::from_secs(3600));
        bed.run_until_stopped(bed.worker(), &stop).await;
    }
    assert_eq!(bed.claim_count(), 0);
}

/// An admission that never decides.
#[derive(Debug)]
struct BlockedAdmission {
    calls: Semaphore,
}

#[async_trait]
impl Admission for BlockedAdmission {
    async fn admit(&self) -> Result<(), AdmissionRefusal> {
        self.calls.add_permits(1);
        std::future::pending().await
    }
}

#[tokio::test]
async fn worker_stopped_during_admission_claims_nothing() {
    let bed = TestBed::new().await;
    bed.create(sh("true"));
    let admission = Arc::new(BlockedAdmission {
        calls: Semaphore::new(0),
    });
    let running = bed.start(bed.worker().admission(admission.clone()));
    admission
        .calls
        .acquire()
        .await
        .expect("an open semaphore")
        .forget();
    running.stop().await;
    assert_eq!(bed.claim_count(), 0);
}
