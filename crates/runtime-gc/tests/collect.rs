//! What goes, in which order, and how much of it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use runtime_gc::{
    Amount, CostClass, EvictionReason, Footprint, GarbageCollector, GcConfig, InUse, Limit, Size,
    Threshold,
};
use support::{Behaviour, Machine};

fn floor(trigger: u64, target: u64) -> GcConfig {
    let mut config = GcConfig::default();
    config.limits.min_free_disk =
        Some(Threshold::at(Amount::Absolute(trigger)).target(Amount::Absolute(target)));
    config
}

/// A machine with `free` bytes, a collector with a floor that rests, and `count` idle resources of 100 bytes.
fn short_of_disk(free: u64, config: GcConfig, count: usize) -> (Machine, GarbageCollector) {
    let machine = Machine::new(free);
    let collector = GarbageCollector::new(config, machine.clone());
    for index in 0..count {
        let thing = machine
            .thing(&index.to_string())
            .with_idle_time(1000 - index as u64);
        collector.tracker().register(Arc::new(thing));
    }
    (machine, collector)
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_while_the_floor_is_kept_and_the_system_is_asked_once() {
    let (machine, collector) = short_of_disk(500, floor(200, 400), 5);
    let report = collector.collect().await;
    assert!(report.is_quiet(), "{report}");
    assert_eq!((machine.reads(), machine.disposals()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_collection_goes_on_until_it_rests() {
    let (machine, collector) = short_of_disk(100, floor(200, 400), 8);
    let report = collector.collect().await;
    assert_eq!(machine.order(), ["0", "1", "2"]);
    assert_eq!(report.freed_disk(), 300);
    assert!(report.can_claim());
    let reason = report.freed[0].reason;
    assert!(matches!(reason, EvictionReason::Rule(rule) if rule.limit == Limit::FreeDisk));
    assert_eq!(
        machine.reads(),
        2,
        "one decision to free, one to see that it was enough"
    );
}

#[tokio::test(start_paused = true)]
async fn the_cheapest_class_goes_first_and_the_least_recently_used_of_it() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(floor(400, 400), machine.clone());
    let tracker = collector.tracker();
    let add = |name, class, idle| {
        tracker.register(Arc::new(
            machine.thing(name).class(class).with_idle_time(idle),
        ));
    };
    add("expensive and old", CostClass::Expensive, 9000);
    add("moderate", CostClass::Moderate, 5000);
    add("cheap and new", CostClass::Cheap, 1);
    add("cheap and old", CostClass::Cheap, 100);
    add("moderate and new", CostClass::Moderate, 10);
    collector.collect().await;
    let order = [
        "cheap and old",
        "cheap and new",
        "moderate",
        "moderate and new",
    ];
    assert_eq!(machine.order(), order);
}

#[tokio::test(start_paused = true)]
async fn using_a_resource_makes_it_go_last() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(floor(100, 100), machine.clone());
    let used = Arc::new(machine.thing("used").with_idle_time(100));
    collector.tracker().register(used.clone());
    collector
        .tracker()
        .register(Arc::new(machine.thing("other").with_idle_time(50)));
    drop(InUse::new(used));
    collector.collect().await;
    assert_eq!(machine.order(), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_stays_and_goes_when_it_is_idle() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(floor(100, 100), machine.clone());
    let thing = Arc::new(machine.thing("busy"));
    collector.tracker().register(thing.clone());
    let user = InUse::new(thing.clone()).expect("it is new");
    let other = user.clone();

    let report = collector.collect().await;
    assert_eq!(report.in_use, 1);
    assert!(!report.can_claim());
    drop(user);
    assert_eq!(collector.collect().await.in_use, 1);
    drop(other);
    assert!(collector.collect().await.can_claim());
    assert_eq!(thing.calls(), 1);
    assert!(InUse::new(thing).is_none(), "nobody gets what is gone");
}

#[tokio::test(start_paused = true)]
async fn sizes_that_are_not_known_are_measured_by_asking_the_system_again() {
    let machine = Machine::new(0);
    let mut config = floor(300, 300);
    config.max_parallel_disposals = 1;
    let collector = GarbageCollector::new(config, machine.clone());
    for index in 0..10 {
        let thing = machine
            .thing(&index.to_string())
            .footprint(Footprint::disk(Size::Unknown));
        collector.tracker().register(Arc::new(thing));
    }
    collector.collect().await;
    assert_eq!(machine.disposals(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_takes_no_disk_does_not_go_for_the_disk() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(floor(100, 100), machine.clone());
    let thing = machine
        .thing("memory")
        .footprint(Footprint::memory(Size::Known(5)));
    collector.tracker().register(Arc::new(thing));
    let report = collector.collect().await;
    assert!(report.freed.is_empty());
    assert_eq!(report.shortages[0].missing, 100);
}

#[tokio::test(start_paused = true)]
async fn a_statistic_that_cannot_be_read_skips_its_rule_and_nothing_goes() {
    let (machine, collector) = short_of_disk(0, floor(200, 400), 5);
    machine.break_statistics();
    let report = collector.collect().await;
    assert_eq!(machine.disposals(), 0);
    assert_eq!(report.skipped[0].reason, "the disk is on fire");
    assert!(
        report.can_claim(),
        "what is not known does not stop the worker"
    );
}

#[tokio::test(start_paused = true)]
async fn a_floor_of_zero_or_none_is_no_floor() {
    for config in [floor(0, 500), GcConfig::default()] {
        let (machine, collector) = short_of_disk(0, config, 5);
        assert!(collector.collect().await.is_quiet());
        assert_eq!(machine.disposals(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn collect_all_takes_everything_that_is_idle() {
    let (machine, collector) = short_of_disk(500, GcConfig::default(), 300);
    let busy = Arc::new(machine.thing("busy"));
    collector.tracker().register(busy.clone());
    let _user = InUse::new(busy).expect("it is new");
    let report = collector.collect_all().await;
    assert_eq!((report.freed.len(), report.in_use), (300, 1));
    assert_eq!(collector.tracker().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn collections_at_the_same_time_do_not_free_more_than_one_would() {
    let machine = Machine::new(100);
    let collector = GarbageCollector::new(floor(200, 400), machine.clone());
    for index in 0..20 {
        let slow = Behaviour::Takes(Duration::from_secs(1));
        let thing = machine.thing(&index.to_string()).does(slow);
        collector.tracker().register(Arc::new(thing));
    }
    let (first, second, third) = tokio::join!(
        collector.collect(),
        collector.collect(),
        collector.collect()
    );
    let freed = [first, second, third].map(|it| it.freed.len());
    assert_eq!(freed.iter().sum::<usize>(), 3);
}
