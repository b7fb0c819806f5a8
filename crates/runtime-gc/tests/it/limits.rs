//! Each limit alone: when it triggers, which resources it evicts, and where it stops.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Machine, TOTAL};
use runtime_gc::{
    Amount, CollectionReport, CostClass, EvictionReason, Footprint, GarbageCollector, GcConfig,
    GcLimits, InUse, LimitKind, LimitRule, Size, Threshold,
};

fn limits(set: impl FnOnce(&mut GcLimits)) -> GcConfig {
    let mut config = GcConfig::default();
    set(&mut config.limits);
    config
}

/// Registers resources named by their index, the first the least recently used.
fn fill(machine: &Machine, collector: &GarbageCollector, count: u64, footprint: Footprint) {
    for index in 0..count {
        let resource = machine.resource(&index.to_string()).footprint(footprint);
        let resource = resource.with_idle_time(1000 - index);
        collector.tracker().register(Arc::new(resource));
    }
}

fn reasons(report: &CollectionReport) -> Vec<LimitKind> {
    let limit = |reason| match reason {
        EvictionReason::Rule(LimitRule { limit, .. }) => limit,
        other => panic!("{other}"),
    };
    report.freed.iter().map(|it| limit(it.reason)).collect()
}

fn bytes(amount: u64) -> Footprint {
    Footprint::disk(Size::Known(amount))
}

#[tokio::test(start_paused = true)]
async fn percentage_refers_to_disk_size() {
    let machine = Machine::new(TOTAL / 20);
    let config = limits(|it| {
        it.min_free_disk = Some(Threshold::at(Amount::Percent(10.0)).target(Amount::Percent(25.0)))
    });
    let collector = GarbageCollector::new(config, machine.clone());
    fill(&machine, &collector, 5, bytes(100));
    collector.collect().await;
    assert_eq!((machine.free(), machine.order().len()), (250, 2));
}

#[tokio::test(start_paused = true)]
async fn low_inodes_evict_resources_on_disk() {
    let machine = Machine::new(TOTAL);
    machine.set_inodes(1000, 5);
    let config = limits(|it| it.min_free_inodes = Some(Threshold::at(Amount::Absolute(20))));
    let collector = GarbageCollector::new(config, machine.clone());
    let memory = machine
        .resource("memory")
        .footprint(Footprint::memory(Size::Known(1)));
    collector
        .tracker()
        .register(Arc::new(memory.with_idle_time(5000)));
    fill(
        &machine,
        &collector,
        5,
        bytes(0).with_inodes(Size::Known(10)),
    );
    let report = collector.collect().await;
    assert_eq!(machine.order(), ["0", "1"]);
    assert_eq!(
        reasons(&report),
        [LimitKind::FreeInodes, LimitKind::FreeInodes]
    );
}

#[tokio::test(start_paused = true)]
async fn zero_inodes_mean_no_limit() {
    let machine = Machine::new(TOTAL);
    let config = limits(|it| it.min_free_inodes = Some(Threshold::at(Amount::Percent(10.0))));
    let collector = GarbageCollector::new(config, machine.clone());
    fill(&machine, &collector, 3, bytes(10));
    assert!(collector.collect().await.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn low_memory_evicts_memory_only() {
    let machine = Machine::new(TOTAL);
    machine.set_available(50);
    let config = limits(|it| it.min_available_memory = Some(Threshold::at(Amount::Absolute(200))));
    let collector = GarbageCollector::new(config, machine.clone());
    fill(&machine, &collector, 3, bytes(100));
    for name in ["first", "second", "third"] {
        let resource = machine
            .resource(name)
            .footprint(Footprint::memory(Size::Known(100)));
        collector.tracker().register(Arc::new(resource));
    }
    let report = collector.collect().await;
    assert_eq!(machine.order(), ["first", "second"]);
    assert!(report.can_claim(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn stall_evicts_one_batch_per_collection() {
    let machine = Machine::new(TOTAL);
    machine.set_stall(40);
    let mut config = limits(|it| it.max_memory_stall = Some(10.0));
    config.max_parallel_disposals = 2;
    let collector = GarbageCollector::new(config, machine.clone());
    fill(&machine, &collector, 10, Footprint::memory(Size::Unknown));
    let report = collector.collect().await;
    assert_eq!(reasons(&report), [LimitKind::MemoryStall; 2]);
    assert_eq!(
        collector.collect().await.freed.len(),
        2,
        "the next collection evicts another batch"
    );
    machine.set_stall(5);
    assert!(collector.collect().await.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn total_size_is_reduced_to_its_target() {
    let machine = Machine::new(TOTAL);
    let config = limits(|it| {
        it.max_total_size = Some(Threshold::at(Amount::Absolute(450)).target(Amount::Absolute(250)))
    });
    let collector = GarbageCollector::new(config, machine.clone());
    fill(&machine, &collector, 4, bytes(100));
    assert!(collector.collect().await.is_quiet());
    fill(&machine, &collector, 1, bytes(100));
    let report = collector.collect().await;
    assert_eq!((report.freed.len(), collector.tracker().count()), (3, 2));
    assert_eq!(reasons(&report), [LimitKind::TotalSize; 3]);
}

#[tokio::test(start_paused = true)]
async fn total_size_in_use_allows_claiming() {
    let machine = Machine::new(TOTAL);
    let config = limits(|it| it.max_total_size = Some(Threshold::at(Amount::Absolute(50))));
    let collector = GarbageCollector::new(config, machine.clone());
    let resource = Arc::new(machine.resource("busy"));
    let _user = InUse::first(resource.clone());
    collector.tracker().register(resource);
    let report = collector.collect().await;
    assert!(!report.is_satisfied() && report.can_claim());
    assert_eq!(report.shortages[0].missing, 50);
    assert_eq!(
        report.shortages[0].to_string(),
        "total size is 50 B above the maximum"
    );
}

#[tokio::test(start_paused = true)]
async fn excess_count_evicts_least_recently_used() {
    let machine = Machine::new(TOTAL);
    let config = limits(|it| it.max_count = Some(Threshold::at(3)));
    let collector = GarbageCollector::new(config, machine.clone());
    fill(&machine, &collector, 5, bytes(1));
    collector.collect().await;
    assert_eq!(machine.order(), ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn max_age_evicts_only_old_resources() {
    let machine = Machine::new(TOTAL);
    let config = limits(|it| it.max_age = Some(Duration::from_secs(60)));
    let collector = GarbageCollector::new(config, machine.clone());
    for (name, idle) in [("old", 100), ("young", 30)] {
        collector
            .tracker()
            .register(Arc::new(machine.resource(name).with_idle_time(idle)));
    }
    let report = collector.collect().await;
    assert_eq!(
        (machine.order(), reasons(&report)),
        (vec!["old".to_owned()], vec![LimitKind::Age])
    );
    tokio::time::advance(Duration::from_secs(31)).await;
    collector.collect().await;
    assert_eq!(machine.order(), ["old", "young"]);
}

#[tokio::test(start_paused = true)]
async fn class_limit_evicts_only_that_class() {
    let machine = Machine::new(TOTAL);
    let mut config = GcConfig::default();
    config.expensive.max_count = Some(Threshold::at(1));
    config.moderate.max_total_size = Some(Threshold::at(Amount::Absolute(150)));
    let collector = GarbageCollector::new(config, machine.clone());
    for class in CostClass::ALL {
        for age in [30, 20, 10] {
            let resource = machine
                .resource(&format!("{class} {age}"))
                .class(class)
                .with_idle_time(age);
            collector.tracker().register(Arc::new(resource));
        }
    }
    let report = collector.collect().await;
    let order = ["moderate 30", "moderate 20", "expensive 30", "expensive 20"];
    assert_eq!(machine.order(), order);
    let reason = report.freed[2].reason.to_string();
    assert_eq!(reason, "count of expensive resources");
}

#[tokio::test(start_paused = true)]
async fn only_percentages_need_disk_statistics() {
    for (limit, skipped) in [(Amount::Percent(1.0), 1), (Amount::Absolute(150), 0)] {
        let machine = Machine::new(TOTAL);
        machine.break_stats();
        let config = limits(|it| it.max_total_size = Some(Threshold::at(limit)));
        let collector = GarbageCollector::new(config, machine.clone());
        fill(&machine, &collector, 2, bytes(100));
        let report = collector.collect().await;
        assert_eq!(
            (report.skipped.len(), report.freed.len()),
            (skipped, 1 - skipped)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_unreadable_statistic_is_reported() {
    let machine = Machine::new(0);
    machine.set_stall(99);
    machine.set_available(0);
    machine.break_stats();
    let config = limits(|it| {
        it.min_free_disk = Some(Threshold::at(Amount::Percent(50.0)));
        it.min_free_inodes = Some(Threshold::at(Amount::Percent(50.0)));
        it.min_available_memory = Some(Threshold::at(Amount::Percent(50.0)));
        it.max_memory_stall = Some(1.0);
    });
    let collector = GarbageCollector::new(config, machine.clone());
    fill(
        &machine,
        &collector,
        10,
        bytes(100).with_memory(Size::Known(10)),
    );
    let report = collector.collect().await;
    assert_eq!((machine.disposals(), report.skipped.len()), (0, 4));
    assert!(
        report
            .to_string()
            .contains("free disk was not checked: the disk is on fire"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn missing_stall_statistic_is_reported() {
    let machine = Machine::new(TOTAL);
    machine.hide_stall();
    let config = limits(|it| it.max_memory_stall = Some(1.0));
    let collector = GarbageCollector::new(config, machine.clone());
    let report = collector.collect().await;
    assert_eq!(
        report.skipped[0].to_string(),
        "memory stall was not checked: the system does not report memory stalls"
    );
    assert!(report.can_claim());
}

#[tokio::test(start_paused = true)]
async fn refresh_updates_the_footprint() {
    let machine = Machine::new(TOTAL);
    let config = limits(|it| it.max_total_size = Some(Threshold::at(Amount::Absolute(500))));
    let collector = GarbageCollector::new(config, machine.clone());
    let resource = Arc::new(machine.resource("grows"));
    let id = collector.tracker().register(resource.clone());
    assert!(collector.collect().await.is_quiet());
    resource.resize(Footprint::disk(Size::Known(600)));
    assert!(collector.collect().await.is_quiet(), "not refreshed yet");
    collector.tracker().refresh(id);
    let report = collector.collect().await;
    assert_eq!((report.freed.len(), report.freed_disk()), (1, 600));
}
