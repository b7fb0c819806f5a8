//! Stops are passed on once, and only ever get more urgent.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::{LifeCycleTracker, StopStage, Stoppable, StoppableOnce};

#[derive(Debug, Default)]
struct Calls(Mutex<Vec<&'static str>>);

impl Stoppable for Calls {
    fn stop_now(&self) {
        self.0.lock().push("now");
    }

    fn stop_gracefully(&self) {
        self.0.lock().push("gracefully");
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn each_kind_of_stop_is_passed_on_once() {
    let calls = Arc::new(Calls::default());
    let once = StoppableOnce::new(calls.clone());
    once.stop_gracefully();
    once.stop_gracefully();
    once.stop_now();
    once.stop_now();
    assert_eq!(*calls.0.lock(), ["gracefully", "now"]);
}

#[test]
fn a_graceful_stop_after_an_immediate_one_is_not_passed_on() {
    let calls = Arc::new(Calls::default());
    let once = StoppableOnce::new(calls.clone());
    once.stop_now();
    once.stop_gracefully();
    assert_eq!(*calls.0.lock(), ["now"]);
}

#[test]
fn who_knows_of_no_time_is_still_told_to_stop() {
    let calls = Calls::default();
    calls.stop_within(StopStage::Running, MINUTE);
    calls.stop_within(StopStage::Graceful, MINUTE);
    calls.stop_within(StopStage::Now, MINUTE);
    assert_eq!(*calls.0.lock(), ["gracefully", "now"]);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_end_of_the_machine_is_passed_on_and_a_later_one_is_not() {
    let tracker = LifeCycleTracker::new();
    let once = StoppableOnce::new(Arc::new(tracker.clone()));
    once.stop_gracefully();
    once.stop_within(StopStage::Graceful, 3 * MINUTE);
    assert_eq!(tracker.stage(), StopStage::Graceful);
    assert_eq!(tracker.time_left(), Some(3 * MINUTE));
    once.stop_now();
    once.stop_within(StopStage::Graceful, MINUTE);
    assert_eq!(tracker.stage(), StopStage::Now);
    assert_eq!(tracker.time_left(), Some(MINUTE));

    let calls = Arc::new(Calls::default());
    let once = StoppableOnce::new(calls.clone());
    once.stop_within(StopStage::Now, MINUTE);
    once.stop_within(StopStage::Now, 2 * MINUTE);
    once.stop_within(StopStage::Graceful, MINUTE / 2);
    assert_eq!(*calls.0.lock(), ["now", "now"], "never less urgent");
}

#[tokio::test]
async fn waiting_for_a_graceful_stop_also_ends_with_an_immediate_one() {
    let tracker = LifeCycleTracker::new();
    tracker.stop_now();
    tracker.wait_for_stage(StopStage::Graceful).await;
    tracker.stop_gracefully();
    assert_eq!(
        tracker.stage(),
        StopStage::Now,
        "a stop never becomes less urgent"
    );
}

#[tokio::test]
async fn all_clones_hear_of_a_stop_that_one_asks_for() {
    let tracker = LifeCycleTracker::new();
    let clone = tracker.clone();
    let waiter = tokio::spawn(async move { clone.wait_for_stage(StopStage::Graceful).await });
    tracker.stop_gracefully();
    waiter.await.expect("the waiter ends");
}

#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_counts_and_short_of_waits_for_it() {
    let tracker = LifeCycleTracker::new();
    assert_eq!(tracker.time_left(), None);
    let waiting = {
        let tracker = tracker.clone();
        tokio::spawn(async move {
            tracker.wait_until_remaining(Duration::from_secs(10)).await;
            tracker.time_left()
        })
    };
    tracker.stop_within(StopStage::Graceful, Duration::from_secs(120));
    tracker.stop_within(StopStage::Now, Duration::from_secs(30));
    tracker.stop_within(StopStage::Graceful, Duration::from_secs(60));
    assert_eq!(tracker.stage(), StopStage::Now);
    assert_eq!(tracker.time_left(), Some(Duration::from_secs(30)));
    let left = waiting.await.expect("it does not panic");
    assert_eq!(left, Some(Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_short_while_nobody_sets_a_deadline() {
    let tracker = LifeCycleTracker::new();
    tracker.stop_now();
    let short = tracker.wait_until_remaining(Duration::from_secs(3600));
    assert!(
        tokio::time::timeout(Duration::from_secs(7200), short)
            .await
            .is_err()
    );
}
