//! Clocks that jump, and a machine that slept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::Timestamp;
use runtime_core::clock::{Clock, SystemClock};
use serde_json::json;

use crate::support::{Bench, sh, state};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_machine_that_slept_for_an_hour_finds_its_claims_gone_and_says_nothing() {
    let bench = Bench::new().await;
    let started = bench.mark("started");
    let script = format!(
        "test $RUN_ID != 0 || {{ echo > {}; exec sleep 600; }}",
        started.display()
    );
    // Only the claim is to end, not the time for the whole task.
    let task_id = bench.create_with(json!({
        "payload": sh(&script),
        "deadline": (SystemClock.now() + 24 * HOUR).to_string(),
        "expires": (SystemClock.now() + 48 * HOUR).to_string(),
    }));
    let running = bench.start(bench.worker());
    bench.file_appears(&started).await;
    bench.taskcluster.advance(HOUR);
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(
        (state(&status).as_str(), status.runs.len()),
        ("completed", 2)
    );
    bench.assert_nothing_is_left();
}

/// A clock that is wrong.
#[derive(Debug)]
struct Ahead(Duration);

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        SystemClock.sleep_until(deadline - self.0).await;
    }
}

#[tokio::test]
async fn a_worker_whose_clock_is_ahead_keeps_what_the_queue_says_is_its() {
    // An hour puts it past the claims, two days past the deadlines.
    for ahead in [HOUR, 48 * HOUR] {
        let bench = Bench::new().await;
        let task_id = bench.create(sh("sleep 0.5"));
        let running = bench.start(bench.worker_with_clock(Arc::new(Ahead(ahead))));
        let status = bench.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(
            (state(&status).as_str(), status.runs.len()),
            ("completed", 1),
            "{ahead:?}"
        );
        let reclaims = bench.reclaims();
        assert!(reclaims <= 2, "it asked {reclaims} times in half a second");
    }
}
