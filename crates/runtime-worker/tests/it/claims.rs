//! When a worker claims, how much, and for how long.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{LifeCycleTracker, StopStage, Stoppable as _};
use runtime_mocks::taskcluster::TaskSnapshot;
use runtime_worker::admission::{Admission, AdmissionRefusal};
use tokio::sync::Semaphore;

use crate::support::{Bench, Held, MORE_THAN_A_CLAIM, NEARLY_A_CLAIM, sh, state};

#[tokio::test]
async fn claims_are_extended_for_as_long_as_a_task_runs() {
    let bench = Bench::new().await;
    let task = Held::create(&bench);
    let running = bench.start(bench.worker());
    bench.file_appears(&task.started).await;
    let status = bench.taskcluster.status(&task.task_id);
    let claimed = status.expect("the task exists").runs[0].taken_until;
    bench.taskcluster.advance(NEARLY_A_CLAIM);
    let is_extended = |status: &TaskSnapshot| status.runs[0].taken_until > claimed;
    bench.until(&task.task_id, is_extended).await;
    bench.taskcluster.advance(NEARLY_A_CLAIM);
    task.release();
    task.completes_in_its_first_run(&bench, "after two claims")
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_lost_claim_ends_the_task_without_a_report() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("test \"$RUN\" = 1 || sleep 600"));
    let running = bench.start(bench.worker());
    bench.running(&task_id).await;
    bench.taskcluster.advance(MORE_THAN_A_CLAIM);
    bench.until(&task_id, |status| status.runs.len() == 2).await;
    running.stop_now().await;
    let status = bench.taskcluster.status(&task_id).expect("the task exists");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
}

#[tokio::test]
async fn one_claim_brings_as_many_tasks_as_there_is_room_for() {
    let bench = Bench::new().await;
    let go = bench.mark("go");
    let started = ["a", "b", "c", "d"].map(|name| bench.mark(name));
    for mark in &started {
        let (mark, go) = (mark.display(), go.display());
        bench.create(sh(&format!(
            "echo > {mark}; until test -e {go}; do sleep 0.05; done"
        )));
    }
    let running = bench.start(bench.worker().capacity(started.len()));
    for mark in &started {
        bench.file_appears(mark).await;
    }
    assert_eq!(bench.claims_so_far(), 1, "no more while there is no room");
    let one_more = bench.create(sh("true"));
    std::fs::write(&go, "").expect("the folder is ours");
    assert_eq!(state(&bench.resolved(&one_more).await), "completed");
    running.stop().await;
    assert_eq!(bench.resolutions(), ["completed"; 5]);
}

#[tokio::test]
async fn a_worker_that_is_stopped_before_it_starts_claims_nothing() {
    let bench = Bench::new().await;
    bench.create(sh("true"));
    for stage in [StopStage::Graceful, StopStage::Now] {
        let stop = LifeCycleTracker::new();
        stop.stop_within(stage, Duration::from_secs(3600));
        bench.run_to_its_end(bench.worker(), &stop).await;
    }
    assert_eq!(bench.claims_so_far(), 0);
}

/// Never says whether there is room.
#[derive(Debug)]
struct Undecided {
    asked: Semaphore,
}

#[async_trait]
impl Admission for Undecided {
    async fn admit(&self) -> Result<(), AdmissionRefusal> {
        self.asked.add_permits(1);
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_worker_that_is_stopped_before_it_may_claim_claims_nothing() {
    let bench = Bench::new().await;
    bench.create(sh("true"));
    let undecided = Arc::new(Undecided {
        asked: Semaphore::new(0),
    });
    let running = bench.start(bench.worker().admission(undecided.clone()));
    undecided
        .asked
        .acquire()
        .await
        .expect("it is open")
        .forget();
    running.stop().await;
    assert_eq!(bench.claims_so_far(), 0);
}
