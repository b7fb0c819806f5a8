//! The plan of a collection.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Behaviour, Machine};
use runtime_gc::{
    Amount, CostClass, EvictionReason, Footprint, GarbageCollector, GcConfig, InUse, PlannedAction,
    Size, Threshold,
};

fn collector(machine: &Machine, minimum: u64) -> GarbageCollector {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(minimum)));
    GarbageCollector::new(config, machine.clone())
}

fn fill(machine: &Machine, collector: &GarbageCollector) {
    for (index, class) in CostClass::ALL.into_iter().cycle().take(9).enumerate() {
        let idle = 100 + (index as u64 * 37) % 50;
        let resource = machine
            .resource(&index.to_string())
            .class(class)
            .with_idle_time(idle);
        collector.tracker().register(Arc::new(resource));
    }
}

#[tokio::test(start_paused = true)]
async fn collection_follows_its_plan() {
    for minimum in [0, 100, 350, 600, 2000] {
        let machine = Machine::new(50);
        let collector = collector(&machine, minimum);
        fill(&machine, &collector);
        let plan = collector.explain();
        let evictions = plan
            .resources
            .iter()
            .filter(|it| matches!(it.action, PlannedAction::Evict(_)));
        let planned: Vec<_> = evictions.map(|it| it.name.clone()).collect();
        assert_eq!(machine.disposals(), 0, "a plan changes nothing");
        let report = collector.collect().await;
        assert_eq!(machine.order(), planned, "with a minimum of {minimum}");
        let reasons = report
            .freed
            .iter()
            .map(|it| PlannedAction::Evict(it.reason));
        assert!(reasons.eq(plan.resources[..planned.len()].iter().map(|it| it.action)));
    }
}

#[tokio::test(start_paused = true)]
async fn plan_lists_each_resource() {
    let machine = Machine::new(50);
    let collector = collector(&machine, 150);
    let tracker = collector.tracker();
    let busy = Arc::new(machine.resource("npm cache").class(CostClass::Expensive));
    let _user = InUse::first(busy.clone());
    tracker.register(busy);
    let stuck = machine
        .resource("stuck")
        .behaviour(Behaviour::Fails(9))
        .with_idle_time(999);
    tracker.register(Arc::new(stuck));
    collector.collect_all().await;
    let download = machine
        .resource("download")
        .class(CostClass::Cheap)
        .with_idle_time(90);
    tracker.register(Arc::new(
        download.footprint(Footprint::disk(Size::Known(3 << 30))),
    ));
    let image = machine.resource("image").with_idle_time(60);
    tracker.register(Arc::new(image.footprint(Footprint::memory(Size::Unknown))));
    let id = tracker.register(Arc::new(machine.resource("poisoned")));
    tracker.discard(id);
    let text = collector.explain().to_string();
    let lines = [
        "free disk is 100 B below the minimum",
        "moderate   disk     100 B  memory         -  poisoned                          evict: discarded",
        "cheap      disk   3.0 GiB  memory         -  download                          evict: free disk",
        "moderate   disk         -  memory         ?  image                             keep: idle for 60 s",
        "expensive  disk     100 B  memory         -  npm cache                         in use by 1",
        "moderate   disk     100 B  memory         -  stuck                             quarantined: 1 failed disposal",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
}

#[tokio::test(start_paused = true)]
async fn in_use_elsewhere_is_skipped_until_recheck() {
    let machine = Machine::new(50);
    let collector = collector(&machine, 150);
    let image = machine
        .resource("image")
        .behaviour(Behaviour::UsedElsewhere);
    collector.tracker().register(Arc::new(image));
    collector.collect().await;
    let plan = collector.explain();
    assert_eq!(plan.resources[0].action, PlannedAction::InUseElsewhere);
    let text = plan.to_string();
    assert!(
        text.ends_with("image                             in use outside of this process\n"),
        "{text}"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    let action = collector.explain().resources[0].action;
    assert!(matches!(action, PlannedAction::Evict(_)), "{action:?}");
}

#[tokio::test(start_paused = true)]
async fn discarded_is_evicted_at_recheck() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let image = machine
        .resource("image")
        .behaviour(Behaviour::UsedElsewhere);
    let id = collector.tracker().register(Arc::new(image));
    collector.tracker().discard(id);
    collector.collect().await;
    let action = collector.explain().resources[0].action;
    assert_eq!(action, PlannedAction::InUseElsewhere);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let action = collector.explain().resources[0].action;
    assert_eq!(action, PlannedAction::Evict(EvictionReason::Discarded));
}

#[tokio::test(start_paused = true)]
async fn plan_without_shortages_lists_skipped_limits() {
    let machine = Machine::new(500);
    let text = collector(&machine, 100).explain().to_string();
    assert_eq!(text, "no limit is exceeded\n");
    machine.break_stats();
    let text = collector(&machine, 100).explain().to_string();
    assert!(
        text.contains("free disk was not checked: the disk is on fire"),
        "{text}"
    );
}
