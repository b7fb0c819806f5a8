//! Disposals that fail, hang, panic or come back, and everything else that goes on meanwhile.

mod support;

use std::sync::Arc;
use std::time::Duration;

use runtime_gc::{Amount, EvictionReason, GarbageCollector, GcConfig, InUse, Threshold};
use support::{Behaviour, Machine, Thing};
use tokio::time::{Instant, advance, sleep};

fn collector(machine: &Machine) -> GarbageCollector {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(300)));
    GarbageCollector::new(config, machine.clone())
}

fn add(machine: &Machine, collector: &GarbageCollector, name: &str, does: Behaviour) -> Arc<Thing> {
    let thing = Arc::new(machine.thing(name).does(does));
    collector.tracker().register(thing.clone());
    thing
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_and_the_collection_goes_on() {
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
    assert_eq!(failed.error, "cannot be freed: the folder is stuck");
    assert!(report.can_claim());
    assert!(InUse::new(stuck).is_none(), "nobody gets what is half gone");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_after_a_wait_that_doubles() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let stuck = add(&machine, &collector, "stuck", Behaviour::Fails(3));
    let mut waits = Vec::new();
    for calls in 1..=3 {
        let report = collector.collect().await;
        assert_eq!(stuck.calls(), calls);
        waits.push(report.failed[0].retry_in.as_secs());
        let wait = report.failed[0].retry_in;
        advance(wait - Duration::from_millis(10)).await;
        collector.collect().await;
        assert_eq!(stuck.calls(), calls, "it is too early");
        advance(Duration::from_millis(20)).await;
    }
    assert_eq!(waits, [5, 10, 20]);
    let report = collector.collect().await;
    assert_eq!(
        (report.freed.len(), report.freed[0].reason),
        (1, EvictionReason::Retry)
    );
    assert_eq!((collector.tracker().count(), report.quarantined), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_collection_of_everything_does_not_wait_for_the_next_try() {
    let machine = Machine::new(1000);
    let collector = collector(&machine);
    let stuck = add(&machine, &collector, "stuck", Behaviour::Fails(1));
    assert_eq!(collector.collect_all().await.failed.len(), 1);
    assert_eq!(collector.collect_all().await.freed.len(), 1);
    assert_eq!(stuck.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_goes_in_the_place_of_a_disposal_that_takes_long() {
    let machine = Machine::new(0);
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(300)));
    config.max_parallel_disposals = 1;
    let (patience, timeout) = (config.dispose_soft_timeout, config.dispose_timeout);
    let collector = GarbageCollector::new(config, machine.clone());
    add(&machine, &collector, "hangs", Behaviour::Hangs);
    for name in ["a", "b", "c"] {
        let takes = Behaviour::Takes(Duration::from_secs(1));
        add(&machine, &collector, name, takes);
    }
    let start = Instant::now();
    let report = collector.collect().await;
    assert_eq!(start.elapsed(), patience + Duration::from_secs(3));
    assert_eq!(machine.order(), ["a", "b", "c"]);
    assert_eq!(
        (&*report.slow[0].name, report.slow[0].after),
        ("hangs", patience)
    );
    assert!(report.can_claim() && report.failed.is_empty());

    sleep(timeout - start.elapsed() + Duration::from_secs(1)).await;
    let report = collector.collect().await;
    let failed = &report.failed[0];
    assert_eq!((&*failed.name, report.quarantined), ("hangs", 1));
    assert_eq!(failed.error, format!("took longer than {timeout:?}"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_disposal_that_ends_is_told_by_the_next_report_and_is_not_repeated() {
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
        "nobody disposes of it twice"
    );
    sleep(Duration::from_secs(60)).await;
    let report = collector.collect().await;
    assert_eq!(report.freed.len(), 1);
    assert_eq!((slow.calls(), collector.tracker().count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_to_go_counts_against_a_ceiling() {
    let machine = Machine::new(1000);
    let mut config = GcConfig::default();
    config.limits.max_count = Some(Threshold::at(2));
    let collector = GarbageCollector::new(config, machine.clone());
    add(&machine, &collector, "hangs", Behaviour::Hangs);
    for name in ["a", "b"] {
        add(&machine, &collector, name, Behaviour::Succeeds);
    }
    let report = collector.collect().await;
    assert_eq!(machine.order(), ["a"], "there would be three else");
    assert!(report.is_satisfied());
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    add(&machine, &collector, "broken", Behaviour::Panics);
    for name in ["a", "b", "c"] {
        add(&machine, &collector, name, Behaviour::Succeeds);
    }
    let report = collector.collect().await;
    assert_eq!(
        (report.freed.len(), &*report.failed[0].error),
        (3, "the disposal panicked")
    );
}

#[tokio::test(start_paused = true)]
async fn what_something_outside_uses_can_still_be_used_and_is_looked_at_again() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let image = add(&machine, &collector, "image", Behaviour::UsedElsewhere);
    let report = collector.collect().await;
    assert_eq!(
        (image.calls(), report.failed[0].failures, report.quarantined),
        (1, 0, 0)
    );
    drop(InUse::new(image.clone()).expect("it is left as it was"));
    advance(Duration::from_secs(6)).await;
    collector.collect().await;
    assert_eq!(image.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_discarded_goes_though_no_limit_is_passed() {
    let machine = Machine::new(1000);
    let collector = collector(&machine);
    let (idle, busy) = (
        Arc::new(machine.thing("idle")),
        Arc::new(machine.thing("busy")),
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
    assert!(!tracker.discard(busy_id), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn registering_and_unregistering_wait_for_no_disposal() {
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
    let id = tracker.register(Arc::new(machine.thing("new")));
    assert_eq!(tracker.count(), 4);
    assert!(tracker.unregister(id) && !tracker.unregister(id));
    assert!(!collection.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_disposal_may_use_the_tracker() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let tracker = collector.tracker();
    let inner = tracker.register(Arc::new(machine.thing("layer")));
    let outer = machine.thing("image").with_idle_time(10).then(move || {
        tracker.discard(inner);
    });
    collector.tracker().register(Arc::new(outer));
    collector.collect().await;
    assert_eq!(machine.order(), ["image", "layer"]);
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_is_dropped_leaves_nothing_half_done() {
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
    assert_eq!(machine.order(), ["a", "b", "c"], "what was begun went on");
    assert!(report.can_claim() && report.freed.is_empty());
}

#[test]
fn a_runtime_that_ends_cuts_disposals_off_and_the_next_one_tries_again() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let thing = add(&machine, &collector, "slow", Behaviour::HangsAtFirst);
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
        assert_eq!((thing.calls(), report.freed.len()), (2, 1));
    });
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "registered twice")]
async fn registering_a_resource_twice_is_a_bug_that_shows() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let thing = Arc::new(machine.thing("once"));
    collector.tracker().register(thing.clone());
    collector.tracker().register(thing);
}

#[test]
#[should_panic(expected = "released a resource that was not acquired")]
fn releasing_what_was_not_acquired_is_a_bug_that_shows() {
    runtime_gc::DisposableResource::new().release();
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_gone_forgets_its_resources() {
    let machine = Machine::new(0);
    let collector = collector(&machine);
    let thing = add(&machine, &collector, "a", Behaviour::Succeeds);
    let tracker = collector.tracker();
    drop(collector);
    assert_eq!((tracker.count(), thing.calls()), (0, 0));
    let id = tracker.register(Arc::new(machine.thing("late")));
    assert!(tracker.discard(id));
    assert_eq!(tracker.count(), 0);
    assert!(
        tracker.reserve(u64::MAX).await.is_ok(),
        "nobody is there to refuse"
    );
}
