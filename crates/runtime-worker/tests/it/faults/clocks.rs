//! Wrong clocks, and a machine that was suspended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use runtime_core::Timestamp;
use runtime_core::clock::{Clock, MockClock, SystemClock};
use serde_json::{Value, json};

use crate::support::{RunningWorker, TestBed, sh};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn claims_are_lost_after_a_suspend() {
    let bed = TestBed::new().await;
    let started = bed.marker("started");
    let script = format!(
        "test $RUN_ID != 0 || {{ echo > {}; exec sleep 600; }}",
        started.display()
    );
    // The claim expires, but not the task's deadline.
    let task_id = bed.create_with(json!({
        "payload": sh(&script),
        "deadline": (SystemClock::new().now() + 24 * HOUR).to_string(),
        "expires": (SystemClock::new().now() + 48 * HOUR).to_string(),
    }));
    let running = bed.start(bed.worker());
    bed.wait_for_file(&started).await;
    bed.taskcluster.advance(HOUR);
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(
        (status.state_and_reason().as_str(), status.runs.len()),
        ("completed", 2)
    );
    bed.assert_no_leftovers();
}

/// A clock that is ahead of the system clock.
#[derive(Debug)]
struct ClockAhead(Duration);

#[async_trait]
impl Clock for ClockAhead {
    fn now(&self) -> Timestamp {
        SystemClock::new().now() + self.0
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        SystemClock::new().sleep_until(deadline - self.0).await;
    }
}

#[tokio::test]
async fn clock_ahead_does_not_lose_claims() {
    // By this clock the claims, or even the deadlines, have passed.
    for ahead in [HOUR, 48 * HOUR] {
        let bed = TestBed::new().await;
        let task_id = bed.create(sh("sleep 0.5"));
        let running = bed.start(bed.worker_with_clock(Arc::new(ClockAhead(ahead))));
        let status = bed.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(
            (status.state_and_reason().as_str(), status.runs.len()),
            ("completed", 1),
            "{ahead:?}"
        );
        let reclaims = bed.reclaim_count();
        assert!(reclaims <= 2, "{reclaims} reclaims in half a second");
    }
}

/// The steps of a local clock: before the worker starts, and while a task runs.
type Steps = [fn(&MockClock); 2];

const KEEP: fn(&MockClock) = |_| {};
const AHEAD: fn(&MockClock) = |clock| clock.advance(24 * HOUR);
const BACK: fn(&MockClock) = |clock| clock.set_back(24 * HOUR);
const MINUTES_BACK: fn(&MockClock) = |clock| clock.set_back(Duration::from_secs(180));

/// Every way in which the clock may be wrong.
const STEPS: [Steps; 6] = [
    [KEEP, AHEAD],
    [KEEP, BACK],
    [KEEP, MINUTES_BACK],
    [AHEAD, KEEP],
    [BACK, KEEP],
    [AHEAD, BACK],
];

/// Starts a worker with a wrong clock and a task, and sets the clock again while the task runs.
async fn start_with_steps(bed: &TestBed, task: Value, steps: Steps) -> (RunningWorker, String) {
    let clock = MockClock::new();
    steps[0](&clock);
    // Nothing else may notice the loss of the claim.
    let worker = bed.worker_with_clock(Arc::new(clock.clone()));
    let worker = worker.cancel_poll_interval(24 * HOUR);
    let running = bed.start(worker);
    let task_id = bed.create_with(task);
    bed.wait_for_file(&bed.marker("started")).await;
    steps[1](&clock);
    (running, task_id)
}

fn script(bed: &TestBed, seconds: u32) -> Value {
    let started = bed.marker("started");
    sh(&format!("echo > {}; sleep {seconds}", started.display()))
}

#[tokio::test]
async fn wrong_clock_does_not_lose_claims() {
    let cases = STEPS
        .into_iter()
        .enumerate()
        .map(|(case, steps)| async move {
            let bed = TestBed::with_claim_timeout(Duration::from_secs(6)).await;
            let task = json!({ "payload": script(&bed, 9) });
            let (running, task_id) = start_with_steps(&bed, task, steps).await;
            let status = bed.resolved(&task_id).await;
            running.stop().await;
            let outcome = (status.state_and_reason(), status.runs.len());
            assert_eq!(outcome, ("completed".to_owned(), 1), "case {case}");
            let reclaims = bed.reclaim_count();
            assert!(
                (1..=4).contains(&reclaims),
                "case {case}: {reclaims} reclaims"
            );
        });
    join_all(cases).await;
}

#[tokio::test]
async fn wrong_clock_does_not_hide_the_deadline() {
    let cases = STEPS
        .into_iter()
        .enumerate()
        .map(|(case, steps)| async move {
            let bed = TestBed::new().await;
            let deadline = SystemClock::new().now() + Duration::from_secs(4);
            let task = json!({ "payload": script(&bed, 600), "deadline": deadline.to_string() });
            let (running, _) = start_with_steps(&bed, task, steps).await;
            bed.wait_for_reports(1).await;
            assert!(SystemClock::new().now() >= deadline, "case {case}");
            running.stop().await;
            assert_eq!(
                bed.resolutions(),
                ["exception/deadline-exceeded"],
                "case {case}"
            );
        });
    join_all(cases).await;
}
