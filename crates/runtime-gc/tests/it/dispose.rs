//! Disposals that fail, hang or panic, and concurrent operations.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Behaviour, Machine, TestResource};
use runtime_gc::{Amount, EvictionReason, GarbageCollector, GcConfig, InUse, Threshold};
use tokio::time::{Instant, advance, sleep};

fn collector(machine: &Machine) -> GarbageCollector {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(300)));
    GarbageCollector::new(config, machine.clone())
}

fn add(
    machine: &Machine,
    collector: &GarbageCollector,
    name: &str,
    behaviour: Behaviour,
) -> Arc<TestResource> {
    let resource = Arc::new(machine.resource(name).behaviour(behaviour));
    collector.tracker().register(resource.clone());
    resource
}

#[tokio::test(start_paused = true)]
async fn failure_does_not_end_the_collection() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let stuck = add(&machine, &collector, "stuck", Behaviour::Fails(1));
    for name in ["a", "b", "c"] {
        add(&machine, &collector, name, Behaviour::Succeeds);
    }
    let report = collector.collect().await;
    assert_eq!((report.freed.len(), report.quarantined), (3, 1));
    let failed = &report.failed[0];
    assert_eq!((&*failed.name, failed.failures), ("stuck", 1));
    assert_eq!(failed.error, "disposal failed: the folder is stuck");
    assert!(report.can_claim());
    assert!(
        InUse::new(stuck).is_none(),
        "a quarantined resource refuses users"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_delay_doubles_with_each_failure() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let stuck = add(&machine, &collector, "stuck", Behaviour::Fails(3));
    let mut delays = Vec::new();
    for calls in 1..=3 {
        let report = collector.collect().await;
        assert_eq!(stuck.calls(), calls);
        delays.push(report.failed[0].retry_in.as_secs());
        let wait = report.failed[0].retry_in;
        advance(wait - Duration::from_millis(10)).await;
        collector.collect().await;
        assert_eq!(stuck.calls(), calls, "too early for the retry");
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(delays, [5, 10, 20]);
    let report = collector.collect().await;
    assert_eq!(
        (report.freed.len(), report.freed[0].reason),
        (1, EvictionReason::Retry)
    );
    assert_eq!((collector.tracker().count(), report.quarantined), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn collect_all_retries_at_once() {
    let machine = Machine::new(1000);
    let collector = collector(&machine);
    let stuck = add(&machine, &collector, "stuck", Behaviour::Fails(1));
    assert_eq!(collector.collect_all().await.failed.len(), 1);
    assert_eq!(collector.collect_all().await.freed.len(), 1);
    assert_eq!(stuck.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn slow_disposal_is_replaced_by_another() {
    let machine = Machine::new(0);
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(300)));
    config.max_parallel_disposals = 1;
    let (soft_timeout, timeout) = (config.dispose_soft_timeout, config.dispose_timeout);
    let collector = GarbageCollector::new(config, machine.clone());
    add(&machine, &collector, "hangs", Behaviour::Hangs);
    for name in ["a", "b", "c"] {
        let takes = Behaviour::Takes(Duration::from_secs(1));
        add(&machine, &collector, name, takes);
    }
    let start = Instant::now();
    let report = collector.collect().await;
    assert_eq!(start.elapsed(), soft_timeout + Duration::from_secs(3));
    assert_eq!(machine.order(), ["a", "b", "c"]);
    assert_eq!(
        (&*report.slow[0].name, report.slow[0].after),
        ("hangs", soft_timeout)
    );
    assert!(report.can_claim() && report.failed.is_empty());

    sleep(timeout - start.elapsed() + Duration::from_secs(1)).await;
    let report = collector.collect().await;
    let failed = &report.failed[0];
    assert_eq!((&*failed.name, report.quarantined), ("hangs", 1));
    assert_eq!(failed.error, format!("timed out after {timeout:?}"));
}

#[tokio::test(start_paused = true)]
async fn slow_disposal_ends_in_a_later_report() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let takes = Behaviour::Takes(Duration::from_secs(60));
    let slow = add(&machine, &collector, "slow", takes);
    let report = collector.collect().await;
    assert_eq!(
        (report.freed.len(), report.slow.len(), report.can_claim()),
        (0, 1, false)
    );
    let report = collector.collect().await;
    assert_eq!(
        (report.slow.len(), slow.calls()),
        (0, 1),
        "it is not disposed of twice"
    );
    sleep(Duration::from_secs(60)).await;
    let report = collector.collect().await;
    assert_eq!(report.freed.len(), 1);
    assert_eq!((slow.calls(), collector.tracker().count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_disposal_counts_against_maximum() {
    let machine = Machine::new(1000);
    let mut config = GcConfig::default();
    config.limits.max_count = Some(Threshold::at(2));
    let collector = GarbageCollector::new(config, machine.clone());
    add(&machine, &collector, "hangs", Behaviour::Hangs);
    for name in ["a", "b"] {
        add(&machine, &collector, name, Behaviour::Succeeds);
    }
    let report = collector.collect().await;
    assert_eq!(machine.order(), ["a"], "the slow one still counts");
    assert!(report.is_satisfied());
}

#[tokio::test(start_paused = true)]
async fn panic_is_a_failure() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    add(&machine, &collector, "broken", Behaviour::Panics);
    for name in ["a", "b", "c"] {
        add(&machine, &collector, name, Behaviour::Succeeds);
    }
    let report = collector.collect().await;
    assert_eq!(
        (report.freed.len(), &*report.failed[0].error),
        (3, "disposal panicked")
    );
}

#[tokio::test(start_paused = true)]
async fn in_use_elsewhere_stays_usable_until_recheck() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let image = add(&machine, &collector, "image", Behaviour::UsedElsewhere);
    let report = collector.collect().await;
    assert_eq!(
        (image.calls(), report.failed[0].failures, report.quarantined),
        (1, 0, 0)
    );
    drop(InUse::new(image.clone()).expect("it is available again"));
    advance(Duration::from_secs(6)).await;
    collector.collect().await;
    assert_eq!(image.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn discarded_is_disposed_of_once_idle() {
    let machine = Machine::new(1000);
    let collector = collector(&machine);
    let (idle, busy) = (
        Arc::new(machine.resource("idle")),
        Arc::new(machine.resource("busy")),
    );
    let tracker = collector.tracker();
    let (idle_id, busy_id) = (
        tracker.register(idle.clone()),
        tracker.register(busy.clone()),
    );
    let user = InUse::new(busy.clone()).expect("it is new");
    assert!(tracker.discard(idle_id) && tracker.discard(busy_id) && tracker.discard(busy_id));
    assert!(InUse::new(idle).is_none() && InUse::new(busy).is_none());
    let other = user.clone();
    let report = collector.collect().await;
    assert_eq!(
        (machine.order(), report.freed[0].reason),
        (vec!["idle".into()], EvictionReason::Discarded)
    );
    drop((user, other));
    collector.collect().await;
    assert_eq!(machine.order(), ["idle", "busy"]);
    assert!(!tracker.discard(busy_id), "it is not registered any more");
}

#[tokio::test(start_paused = true)]
async fn registration_does_not_wait_for_disposals() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    for name in ["a", "b", "c"] {
        add(&machine, &collector, name, Behaviour::Hangs);
    }
    let collection = tokio::spawn({
        let collector = collector.clone();
        async move { collector.collect().await }
    });
    sleep(Duration::from_secs(1)).await;
    let tracker = collector.tracker();
    let id = tracker.register(Arc::new(machine.resource("new")));
    assert_eq!(tracker.count(), 4);
    assert!(tracker.unregister(id) && !tracker.unregister(id));
    assert!(!collection.is_finished());
}

#[tokio::test(start_paused = true)]
async fn disposal_may_use_the_tracker() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let tracker = collector.tracker();
    let inner = tracker.register(Arc::new(machine.resource("layer")));
    let outer = machine
        .resource("image")
        .with_idle_time(10)
        .after_disposal(move || {
            tracker.discard(inner);
        });
    collector.tracker().register(Arc::new(outer));
    collector.collect().await;
    assert_eq!(machine.order(), ["image", "layer"]);
}

#[tokio::test(start_paused = true)]
async fn disposals_survive_a_dropped_collection() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let slow = Behaviour::Takes(Duration::from_secs(5));
    for name in ["a", "b", "c"] {
        add(&machine, &collector, name, slow);
    }
    tokio::select! {
        _ = collector.collect() => unreachable!("it takes longer"),
        () = sleep(Duration::from_secs(1)) => {}
    }
    let report = collector.collect().await;
    assert_eq!(
        machine.order(),
        ["a", "b", "c"],
        "disposals in progress continued"
    );
    assert!(report.can_claim() && report.freed.is_empty());
}

#[test]
fn disposal_cancelled_by_runtime_is_retried() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let resource = add(&machine, &collector, "slow", Behaviour::HangsAtFirst);
    let first = runtime();
    first.block_on(async {
        tokio::select! {
            _ = collector.collect() => unreachable!("it hangs"),
            () = sleep(Duration::from_secs(1)) => {}
        }
    });
    drop(first);
    runtime().block_on(async {
        let report = collector.collect_all().await;
        assert_eq!((resource.calls(), report.freed.len()), (2, 1));
    });
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "registered twice")]
async fn registering_twice_panics() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let resource = Arc::new(machine.resource("once"));
    collector.tracker().register(resource.clone());
    collector.tracker().register(resource);
}

#[test]
#[should_panic(expected = "released a resource that was not acquired")]
fn releasing_without_acquiring_panics() {
    runtime_gc::DisposableResource::new().release();
}

#[tokio::test(start_paused = true)]
async fn unregistered_can_be_registered_again() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let tracker = collector.tracker();
    let resource = Arc::new(machine.resource("a"));
    let id = tracker.register(resource.clone());
    assert!(tracker.unregister(id));
    tracker.register(resource.clone());
    assert!(collector.collect().await.freed.len() == 1 && resource.calls() == 1);
}

mod detached {
    use runtime_gc::ResourceTracker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn discarded_is_disposed_of_once_idle() {
        let machine = Machine::new(1000);
        let tracker = ResourceTracker::detached();
        let [idle, busy] = ["idle", "busy"].map(|name| Arc::new(machine.resource(name)));
        let [idle_id, busy_id] = [&idle, &busy].map(|it| tracker.register(it.clone()));
        let user = InUse::new(busy.clone()).expect("it is new");
        assert!(tracker.discard(idle_id) && tracker.discard(busy_id));
        assert!(InUse::new(idle).is_none() && InUse::new(busy).is_none());
        sleep(Duration::from_secs(1)).await;
        assert_eq!((machine.order(), tracker.count()), (vec!["idle".into()], 1));
        drop(user);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((machine.order().len(), tracker.count()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_resources_stay() {
        let machine = Machine::new(0);
        let tracker = ResourceTracker::detached();
        let resource = Arc::new(machine.resource("idle"));
        tracker.register(resource.clone());
        tracker.request_collection();
        drop(InUse::new(resource.clone()));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!((resource.calls(), tracker.count()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn failed_disposal_is_not_retried() {
        let machine = Machine::new(0);
        let tracker = ResourceTracker::detached();
        let stuck = machine.resource("stuck").behaviour(Behaviour::Fails(1));
        let stuck = Arc::new(stuck);
        let id = tracker.register(stuck.clone());
        assert!(tracker.discard(id));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!((stuck.calls(), tracker.count()), (1, 0));
        assert!(InUse::new(stuck).is_none(), "it may be half removed");
    }

    #[test]
    fn without_a_runtime_discarded_is_unregistered() {
        let machine = Machine::new(0);
        let tracker = ResourceTracker::detached();
        let resource = Arc::new(machine.resource("late"));
        let id = tracker.register(resource.clone());
        assert!(tracker.discard(id));
        assert_eq!((resource.calls(), tracker.count()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_collector_unregisters_resources() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let resource = add(&machine, &collector, "a", Behaviour::Succeeds);
    let tracker = collector.tracker();
    drop(collector);
    assert_eq!((tracker.count(), resource.calls()), (0, 0));
    let id = tracker.register(Arc::new(machine.resource("late")));
    assert!(tracker.discard(id));
    assert_eq!(tracker.count(), 0);
    assert!(
        tracker.reserve(u64::MAX).await.is_ok(),
        "no collector is left to refuse"
    );
}
