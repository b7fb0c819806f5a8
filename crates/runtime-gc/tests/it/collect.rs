//! Collections: which resources are evicted, in which order, and how many.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Behaviour, Machine};
use runtime_gc::{
    Amount, CostClass, EvictionReason, Footprint, GarbageCollector, GcConfig, InUse, LimitKind,
    Size, Threshold,
};

fn min_free_disk(trigger: u64, target: u64) -> GcConfig {
    let mut config = GcConfig::default();
    config.limits.min_free_disk =
        Some(Threshold::at(Amount::Absolute(trigger)).target(Amount::Absolute(target)));
    config
}

/// Creates a machine with `free` bytes, a collector, and `count` idle resources of 100 bytes.
fn machine_with_resources(
    free: u64,
    config: GcConfig,
    count: usize,
) -> (Machine, GarbageCollector) {
    let machine = Machine::new(free);
    let collector = GarbageCollector::new(config, machine.clone());
    for index in 0..count {
        let resource = machine
            .resource(&index.to_string())
            .with_idle_time(1000 - index as u64);
        collector.tracker().register(Arc::new(resource));
    }
    (machine, collector)
}

#[tokio::test(start_paused = true)]
async fn satisfied_limit_reads_stats_once() {
    let (machine, collector) = machine_with_resources(500, min_free_disk(200, 400), 5);
    let report = collector.collect().await;
    assert!(report.is_quiet(), "{report}");
    assert_eq!((machine.reads(), machine.disposals()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn collection_continues_to_the_target() {
    let (machine, collector) = machine_with_resources(100, min_free_disk(200, 400), 8);
    let report = collector.collect().await;
    assert_eq!(machine.order(), ["0", "1", "2"]);
    assert_eq!(report.freed_disk(), 300);
    assert!(report.can_claim());
    let reason = report.freed[0].reason;
    assert!(matches!(reason, EvictionReason::Rule(rule) if rule.limit == LimitKind::FreeDisk));
    assert_eq!(
        machine.reads(),
        2,
        "one decision to evict, one to find the limit satisfied"
    );
}

#[tokio::test(start_paused = true)]
async fn order_is_by_class_then_last_use() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(min_free_disk(400, 400), machine.clone());
    let tracker = collector.tracker();
    let add = |name, class, idle| {
        tracker.register(Arc::new(
            machine.resource(name).class(class).with_idle_time(idle),
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
async fn use_moves_a_resource_to_the_end() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(min_free_disk(100, 100), machine.clone());
    let used = Arc::new(machine.resource("used").with_idle_time(100));
    collector.tracker().register(used.clone());
    collector
        .tracker()
        .register(Arc::new(machine.resource("other").with_idle_time(50)));
    drop(InUse::new(used));
    collector.collect().await;
    assert_eq!(machine.order(), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn in_use_is_evicted_once_idle() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(min_free_disk(100, 100), machine.clone());
    let resource = Arc::new(machine.resource("busy"));
    collector.tracker().register(resource.clone());
    let user = InUse::new(resource.clone()).expect("it is new");
    let other = user.clone();

    let report = collector.collect().await;
    assert_eq!(report.in_use, 1);
    assert!(!report.can_claim());
    drop(user);
    assert_eq!(collector.collect().await.in_use, 1);
    drop(other);
    assert!(collector.collect().await.can_claim());
    assert_eq!(resource.calls(), 1);
    assert!(
        InUse::new(resource).is_none(),
        "a disposed resource refuses users"
    );
}

#[tokio::test(start_paused = true)]
async fn needed_resource_has_exclusive_users_again() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(min_free_disk(100, 100), machine.clone());
    let resource = Arc::new(machine.resource("busy"));
    collector.tracker().register(resource.clone());
    let user = InUse::exclusive(resource.clone()).expect("it is new");
    // Finds it in use, and watches it.
    assert_eq!(collector.collect().await.in_use, 1);
    drop(user);
    let user = InUse::exclusive(resource.clone()).expect("it is idle");
    assert!(InUse::exclusive(resource).is_none());
    drop(user);
}

#[tokio::test(start_paused = true)]
async fn unknown_sizes_are_evicted_a_few_at_a_time() {
    let machine = Machine::new(0);
    let mut config = min_free_disk(300, 300);
    config.max_parallel_disposals = 1;
    let collector = GarbageCollector::new(config, machine.clone());
    for index in 0..10 {
        let resource = machine
            .resource(&index.to_string())
            .footprint(Footprint::disk(Size::Unknown));
        collector.tracker().register(Arc::new(resource));
    }
    collector.collect().await;
    assert_eq!(machine.disposals(), 3);
}

#[tokio::test(start_paused = true)]
async fn memory_is_not_evicted_for_disk() {
    let machine = Machine::new(0);
    let collector = GarbageCollector::new(min_free_disk(100, 100), machine.clone());
    let resource = machine
        .resource("memory")
        .footprint(Footprint::memory(Size::Known(5)));
    collector.tracker().register(Arc::new(resource));
    let report = collector.collect().await;
    assert!(report.freed.is_empty());
    assert_eq!(report.shortages[0].missing, 100);
}

#[tokio::test(start_paused = true)]
async fn unreadable_statistic_evicts_nothing() {
    let (machine, collector) = machine_with_resources(0, min_free_disk(200, 400), 5);
    machine.break_stats();
    let report = collector.collect().await;
    assert_eq!(machine.disposals(), 0);
    assert_eq!(report.skipped[0].reason, "the disk is on fire");
    assert!(
        report.can_claim(),
        "a missing statistic does not stop the worker"
    );
}

#[tokio::test(start_paused = true)]
async fn zero_means_no_limit() {
    for config in [min_free_disk(0, 500), GcConfig::default()] {
        let (machine, collector) = machine_with_resources(0, config, 5);
        assert!(collector.collect().await.is_quiet());
        assert_eq!(machine.disposals(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn collect_all_evicts_everything_idle() {
    let (machine, collector) = machine_with_resources(500, GcConfig::default(), 300);
    let busy = Arc::new(machine.resource("busy"));
    collector.tracker().register(busy.clone());
    let _user = InUse::new(busy).expect("it is new");
    let report = collector.collect_all().await;
    assert_eq!((report.freed.len(), report.in_use), (300, 1));
    assert_eq!(collector.tracker().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn concurrent_collections_evict_no_more_than_one() {
    let machine = Machine::new(100);
    let collector = GarbageCollector::new(min_free_disk(200, 400), machine.clone());
    for index in 0..20 {
        let slow = Behaviour::Takes(Duration::from_secs(1));
        let resource = machine.resource(&index.to_string()).behaviour(slow);
        collector.tracker().register(Arc::new(resource));
    }
    let (first, second, third) = tokio::join!(
        collector.collect(),
        collector.collect(),
        collector.collect()
    );
    let freed = [first, second, third].map(|it| it.freed.len());
    assert_eq!(freed.iter().sum::<usize>(), 3);
}
