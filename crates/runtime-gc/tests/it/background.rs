//! The background task.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Behaviour, Machine};
use runtime_gc::{Amount, CollectionReport, GarbageCollector, GcConfig, InUse, Threshold};
use tokio::time::sleep;

fn config() -> GcConfig {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(100)));
    config
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn it_collects_at_the_interval() {
    let machine = Machine::new(500);
    let collector = GarbageCollector::new(config(), machine.clone());
    let _background = collector.start();
    seconds(1).await;
    collector
        .tracker()
        .register(Arc::new(machine.resource("a")));
    machine.set_free(0);
    seconds(58).await;
    assert_eq!(machine.disposals(), 0);
    seconds(2).await;
    assert_eq!(machine.disposals(), 1);
}

#[tokio::test(start_paused = true)]
async fn request_collects_at_once() {
    let machine = Machine::new(500);
    let collector = GarbageCollector::new(config(), machine.clone());
    let _background = collector.start();
    seconds(1).await;
    collector
        .tracker()
        .register(Arc::new(machine.resource("a")));
    machine.set_free(0);
    collector.tracker().request_collection();
    seconds(1).await;
    assert_eq!(machine.disposals(), 1);
}

#[tokio::test(start_paused = true)]
async fn exceeding_a_maximum_collects_at_once() {
    let machine = Machine::new(500);
    let mut config = GcConfig::default();
    config.limits.max_count = Some(Threshold::at(2));
    let collector = GarbageCollector::new(config, machine.clone());
    let _background = collector.start();
    seconds(1).await;
    for name in ["a", "b", "c"] {
        collector
            .tracker()
            .register(Arc::new(machine.resource(name)));
    }
    seconds(1).await;
    assert_eq!(machine.order(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn needed_resource_is_evicted_when_idle() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(config(), machine.clone());
    let busy = Arc::new(machine.resource("busy"));
    let user = InUse::first(busy.clone());
    collector.tracker().register(busy);
    let _background = collector.start();
    seconds(1).await;
    drop(user);
    seconds(1).await;
    assert_eq!(machine.order(), ["busy"]);
}

#[tokio::test(start_paused = true)]
async fn discarded_is_disposed_of_at_once() {
    let machine = Machine::new(500);
    let collector = GarbageCollector::new(config(), machine.clone());
    let _background = collector.start();
    seconds(1).await;
    let tracker = collector.tracker();
    let id = tracker.register(Arc::new(machine.resource("discarded")));
    tracker.discard(id);
    seconds(1).await;
    assert_eq!(machine.order(), ["discarded"]);
}

#[tokio::test(start_paused = true)]
async fn retry_precedes_the_interval() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(config(), machine.clone());
    let resource = Arc::new(machine.resource("stuck").behaviour(Behaviour::Fails(2)));
    collector.tracker().register(resource.clone());
    let _background = collector.start();
    seconds(6).await;
    assert_eq!(resource.calls(), 2);
    seconds(10).await;
    assert_eq!((resource.calls(), machine.disposals()), (3, 1));
}

/// A task fills the disk, and no resource can be evicted. The worker must continue, and report the full disk
/// once.
#[tokio::test(start_paused = true)]
async fn persistent_shortage_is_reported_once() {
    let machine = Machine::new(0);
    let reports = Arc::new(Mutex::new(Vec::<CollectionReport>::new()));
    let listener = {
        let reports = reports.clone();
        move |report: &CollectionReport| reports.lock().unwrap().push(report.clone())
    };
    let collector = GarbageCollector::with_listener(config(), machine.clone(), listener);
    let busy = Arc::new(machine.resource("busy"));
    let user = InUse::first(busy.clone());
    collector.tracker().register(busy);
    let background = collector.start();
    seconds(3600).await;
    assert!(machine.reads() > 50, "it continues to collect");
    let reported = |at: usize| reports.lock().unwrap()[at].clone();
    assert_eq!(reports.lock().unwrap().len(), 1);
    assert_eq!((reported(0).can_claim(), reported(0).in_use), (false, 1));
    drop(user);
    seconds(1).await;
    assert_eq!(reports.lock().unwrap().len(), 2);
    assert_eq!(
        (reported(1).can_claim(), reported(1).freed.len()),
        (true, 1)
    );
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stop_waits_for_the_collection() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(config(), machine.clone());
    let slow = machine
        .resource("slow")
        .behaviour(Behaviour::Takes(Duration::from_secs(5)));
    collector.tracker().register(Arc::new(slow));
    let background = collector.start();
    seconds(1).await;
    background.stop().await;
    assert_eq!(machine.disposals(), 1);
    let reads = machine.reads();
    collector.tracker().request_collection();
    seconds(600).await;
    assert_eq!(machine.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn drop_ends_the_task() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(config(), machine.clone());
    drop(collector.start());
    seconds(600).await;
    assert!(machine.reads() <= 1);
}

#[tokio::test(start_paused = true)]
async fn panicking_listener_does_not_block_collections() {
    let machine = Machine::new(0);
    let calls = Arc::new(AtomicUsize::new(0));
    let listener = {
        let calls = calls.clone();
        move |_: &CollectionReport| {
            assert!(
                calls.fetch_add(1, Ordering::SeqCst) > 0,
                "the first call panics"
            );
        }
    };
    let collector = GarbageCollector::with_listener(config(), machine.clone(), listener);
    collector.collect().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    collector
        .tracker()
        .register(Arc::new(machine.resource("a")));
    assert!(collector.collect().await.can_claim());
}
