//! Forwarding and tracking of stops.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::lifecycle::StoppableOnce;
use runtime_core::{LifeCycleTracker, StopStage, Stoppable};

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
fn each_stage_is_forwarded_once() {
    let calls = Arc::new(Calls::default());
    let once = StoppableOnce::new(calls.clone());
    once.stop_gracefully();
    once.stop_gracefully();
    once.stop_now();
    once.stop_now();
    assert_eq!(*calls.0.lock(), ["gracefully", "now"]);
}

#[test]
fn graceful_after_immediate_is_not_forwarded() {
    let calls = Arc::new(Calls::default());
    let once = StoppableOnce::new(calls.clone());
    once.stop_now();
    once.stop_gracefully();
    assert_eq!(*calls.0.lock(), ["now"]);
}

#[test]
fn stop_within_defaults_to_plain_stop() {
    let calls = Calls::default();
    calls.stop_within(StopStage::Running, MINUTE);
    calls.stop_within(StopStage::Graceful, MINUTE);
    calls.stop_within(StopStage::Now, MINUTE);
    assert_eq!(*calls.0.lock(), ["gracefully", "now"]);
}

#[tokio::test(start_paused = true)]
async fn only_earlier_deadlines_are_forwarded() {
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
    assert_eq!(*calls.0.lock(), ["now"], "only the deadline is earlier");
}

/// A component that requests an immediate stop during a graceful one, as another thread may.
#[derive(Debug, Default)]
struct Escalating {
    once: OnceLock<Weak<StoppableOnce>>,
    calls: Calls,
}

impl Stoppable for Escalating {
    fn stop_now(&self) {
        self.calls.stop_now();
    }

    fn stop_gracefully(&self) {
        let once = self.once.get().and_then(Weak::upgrade).expect("it exists");
        let other = {
            let once = Arc::clone(&once);
            std::thread::spawn(move || once.stop_now())
        };
        other.join().expect("no panic");
        once.stop_now();
        self.calls.stop_gracefully();
    }
}

#[test]
fn stop_during_a_call_is_forwarded_next() {
    let component = Arc::new(Escalating::default());
    let once = Arc::new(StoppableOnce::new(component.clone()));
    component.once.get_or_init(|| Arc::downgrade(&once));
    once.stop_gracefully();
    assert_eq!(*component.calls.0.lock(), ["gracefully", "now"]);
}

/// A component that panics in a graceful stop.
#[derive(Debug, Default)]
struct Panicking(Calls);

impl Stoppable for Panicking {
    fn stop_now(&self) {
        self.0.stop_now();
    }

    fn stop_gracefully(&self) {
        std::panic::resume_unwind(Box::new("test"));
    }
}

#[test]
fn panic_does_not_block_later_stops() {
    let component = Arc::new(Panicking::default());
    let once = StoppableOnce::new(component.clone());
    let graceful = AssertUnwindSafe(|| once.stop_gracefully());
    assert!(std::panic::catch_unwind(graceful).is_err());
    once.stop_now();
    assert_eq!(*component.0.0.lock(), ["now"]);
}

#[tokio::test]
async fn immediate_stop_satisfies_graceful_wait() {
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
async fn stages_are_awaitable() {
    let tracker = LifeCycleTracker::new();
    let (graceful, now) = (tracker.stopping_gracefully(), tracker.stopping_now());
    let stopping = now.done();
    assert!(!graceful.is_done() && !now.is_done());
    tracker.stop_gracefully();
    graceful.wait().await;
    assert!(!now.is_done());
    tracker.stop_now();
    stopping.await;
}

#[test]
fn immediate_stop_is_also_graceful() {
    let tracker = LifeCycleTracker::new();
    tracker.stop_now();
    assert!(tracker.stopping_gracefully().is_done() && tracker.stopping_now().is_done());
}

#[tokio::test(start_paused = true)]
async fn running_stage_announces_a_deadline() {
    let tracker = LifeCycleTracker::new();
    tracker.stop_within(StopStage::Running, MINUTE);
    assert_eq!(tracker.stage(), StopStage::Running);
    assert_eq!(tracker.time_left(), Some(MINUTE));
}

#[tokio::test]
async fn clones_share_the_stage() {
    let tracker = LifeCycleTracker::new();
    let clone = tracker.clone();
    let waiter = tokio::spawn(async move { clone.wait_for_stage(StopStage::Graceful).await });
    tracker.stop_gracefully();
    waiter.await.expect("the waiter ends");
}

#[tokio::test(start_paused = true)]
async fn earliest_deadline_wins() {
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
async fn wait_without_deadline_never_ends() {
    let tracker = LifeCycleTracker::new();
    tracker.stop_now();
    let short = tracker.wait_until_remaining(Duration::from_secs(3600));
    assert!(
        tokio::time::timeout(Duration::from_secs(7200), short)
            .await
            .is_err()
    );
}
