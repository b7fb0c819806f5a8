//! Stops are passed on once, and only ever get more urgent.

use std::sync::Arc;

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

#[tokio::test]
async fn waiting_for_a_graceful_stop_also_ends_with_an_immediate_one() {
    let tracker = LifeCycleTracker::new();
    tracker.stop_now();
    tracker.reached(StopStage::Graceful).await;
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
    let waiter = tokio::spawn(async move { clone.reached(StopStage::Graceful).await });
    tracker.stop_gracefully();
    waiter.await.expect("the waiter ends");
}
