//! Wrong clocks, and a machine that was suspended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::Timestamp;
use runtime_core::clock::{Clock, SystemClock};
use serde_json::json;

use crate::support::{TestBed, sh};

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
        "deadline": (SystemClock.now() + 24 * HOUR).to_string(),
        "expires": (SystemClock.now() + 48 * HOUR).to_string(),
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
        SystemClock.now() + self.0
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        SystemClock.sleep_until(deadline - self.0).await;
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
