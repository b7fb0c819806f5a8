//! The queue is away for a minute, at each phase of a task, and the worker waits as it does outside of tests.

use std::time::Duration;

use runtime_mocks::taskcluster::{Fault, FaultRule, InjectedFault};
use runtime_worker::{Timing, WorkerBuilder};

use super::{down, refused};
use crate::support::{Bench, Held, NEARLY_A_CLAIM, Running, SlowMotion};

const MINUTE: Duration = Duration::from_secs(60);

impl Bench {
    /// Lets a minute pass from the first call that `fault` befalls.
    async fn a_minute_of(&self, time: &SlowMotion<'_>, fault: &InjectedFault) {
        time.pass_until(|| fault.hits() > 0).await;
        time.pass(MINUTE).await;
        // It tries again, though a busy machine may take longer for that than for the minute.
        time.pass_until(|| fault.hits() > 1).await;
        self.taskcluster.clear_faults();
    }

    /// Time passes until the end, since pauses are as long as outside of tests.
    async fn recovers(&self, time: SlowMotion<'_>, task: &Held, running: Running, when: &str) {
        time.pass_until(|| !self.reports().is_empty()).await;
        drop(time);
        task.completes_in_its_first_run(self, when).await;
        running.stop().await;
        assert_eq!(self.resolutions(), ["completed"], "{when}");
        self.assert_nothing_is_left();
    }
}

/// A client that gives up after half a second, so that it is the worker whose patience counts.
fn impatient(bench: &Bench) -> WorkerBuilder {
    bench.worker().timing(Timing::default())
}

/// What the queue does for a minute.
fn outages(method: &str) -> [FaultRule; 2] {
    let reset = FaultRule::new(method, Fault::Reset { after: 0 });
    [down(method), reset]
}

/// A task runs while what `method` asks for is away for a minute, and completes.
async fn completes_after_a_minute_without(method: &str, worker: fn(&Bench) -> WorkerBuilder) {
    for outage in outages(method) {
        let bench = Bench::new().await;
        let when = format!("{outage:?}");
        let fault = bench.taskcluster.inject(outage);
        let task = Held::create(&bench);
        task.release();
        let time = SlowMotion::begin(&bench.taskcluster);
        let running = bench.start(worker(&bench));
        bench.a_minute_of(&time, &fault).await;
        bench.recovers(time, &task, running, &when).await;
    }
}

#[tokio::test]
async fn a_queue_that_is_away_for_a_minute_at_a_claim_costs_nothing_but_time() {
    completes_after_a_minute_without("queue.claimWork", impatient).await;
}

#[tokio::test]
async fn a_queue_that_is_away_for_a_minute_while_a_task_runs_costs_nothing_but_time() {
    for method in ["queue.status", "queue.reclaimTask", "queue.*"] {
        for outage in outages(method) {
            let bench = Bench::new().await;
            let when = format!("{outage:?}");
            let task = Held::create(&bench);
            let running = bench.start(impatient(&bench));
            bench.file_appears(&task.started).await;
            let fault = bench.taskcluster.inject(outage);
            let time = SlowMotion::begin(&bench.taskcluster);
            bench.taskcluster.advance(NEARLY_A_CLAIM);
            bench.a_minute_of(&time, &fault).await;
            task.release();
            bench.recovers(time, &task, running, &when).await;
        }
    }
}

#[tokio::test]
async fn a_queue_that_is_away_for_a_minute_at_the_report_costs_nothing_but_time() {
    completes_after_a_minute_without("queue.reportCompleted", impatient).await;
}

#[tokio::test]
async fn uploads_wait_a_minute_for_who_takes_them() {
    let patient = |bench: &Bench| {
        let worker = bench.worker_with_default_client();
        worker.timing(Timing::default())
    };
    for method in ["queue.createArtifact", "s3.put"] {
        completes_after_a_minute_without(method, patient).await;
    }
}

#[tokio::test]
async fn a_task_that_was_cancelled_while_nobody_could_be_asked_ends_once_somebody_can() {
    let bench = Bench::new().await;
    let task = Held::create(&bench);
    let running = bench.start(impatient(&bench));
    bench.file_appears(&task.started).await;
    let fault = bench.taskcluster.inject(refused("queue.status", 503));
    let time = SlowMotion::begin(&bench.taskcluster);
    bench.cancel(&task.task_id);
    bench.a_minute_of(&time, &fault).await;
    assert_eq!(bench.resolutions(), [""; 0], "it knows of nothing");
    time.pass_until(|| !bench.reports().is_empty()).await;
    drop(time);
    running.stop().await;
    assert_eq!(bench.resolutions(), ["exception/canceled"]);
    bench.assert_nothing_is_left();
}
