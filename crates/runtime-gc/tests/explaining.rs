//! What would go, in which order, and why.

mod support;

use std::sync::Arc;
use std::time::Duration;

use runtime_gc::{
    Amount, CostClass, Footprint, GarbageCollector, GcConfig, InUse, PlannedAction, Size, Threshold,
};
use support::{Behaviour, Machine};

fn collector(machine: &Machine, floor: u64) -> GarbageCollector {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(floor)));
    GarbageCollector::new(config, machine.clone())
}

fn fill(machine: &Machine, collector: &GarbageCollector) {
    for (index, class) in CostClass::ALL.into_iter().cycle().take(9).enumerate() {
        let idle = 100 + (index as u64 * 37) % 50;
        let thing = machine
            .thing(&index.to_string())
            .class(class)
            .with_idle_time(idle);
        collector.tracker().register(Arc::new(thing));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_foretold_is_what_happens_in_that_order() {
    for floor in [0, 100, 350, 600, 2000] {
        let machine = Machine::new(50);
        let collector = collector(&machine, floor);
        fill(&machine, &collector);
        let explanation = collector.explain();
        let goes = explanation
            .resources
            .iter()
            .filter(|it| matches!(it.action, PlannedAction::Evict(_)));
        let foretold: Vec<_> = goes.map(|it| it.name.clone()).collect();
        assert_eq!(machine.disposals(), 0, "explaining changes nothing");
        let report = collector.collect().await;
        assert_eq!(machine.order(), foretold, "with a floor of {floor}");
        let reasons = report
            .freed
            .iter()
            .map(|it| PlannedAction::Evict(it.reason));
        assert!(
            reasons.eq(explanation.resources[..foretold.len()]
                .iter()
                .map(|it| it.action))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_resource_is_told_with_its_fate() {
    let machine = Machine::new(50);
    let collector = collector(&machine, 150);
    let tracker = collector.tracker();
    let busy = Arc::new(machine.thing("npm cache").class(CostClass::Expensive));
    let _user = InUse::first(busy.clone());
    tracker.register(busy);
    let stuck = machine
        .thing("stuck")
        .does(Behaviour::Fails(9))
        .with_idle_time(999);
    tracker.register(Arc::new(stuck));
    collector.collect_all().await;
    let download = machine
        .thing("download")
        .class(CostClass::Cheap)
        .with_idle_time(90);
    tracker.register(Arc::new(
        download.footprint(Footprint::disk(Size::Known(3 << 30))),
    ));
    let image = machine.thing("image").with_idle_time(60);
    tracker.register(Arc::new(image.footprint(Footprint::memory(Size::Unknown))));
    let id = tracker.register(Arc::new(machine.thing("poisoned")));
    tracker.discard(id);
    let text = collector.explain().to_string();
    let lines = [
        "free disk is 100 B below its floor",
        "moderate   disk     100 B  memory         -  poisoned                          evict: discarded",
        "cheap      disk   3.0 GiB  memory         -  download                          evict: free disk",
        "moderate   disk         -  memory         ?  image                             keep: idle for 60 s",
        "expensive  disk     100 B  memory         -  npm cache                         in use by 1",
        "moderate   disk     100 B  memory         -  stuck                             quarantined: 1 failed disposals",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
}

#[tokio::test(start_paused = true)]
async fn what_something_outside_uses_is_told_and_goes_for_no_limit_until_it_is_looked_at_again() {
    let machine = Machine::new(50);
    let collector = collector(&machine, 150);
    let image = machine.thing("image").does(Behaviour::UsedElsewhere);
    collector.tracker().register(Arc::new(image));
    collector.collect().await;
    let explanation = collector.explain();
    assert_eq!(
        explanation.resources[0].action,
        PlannedAction::InUseElsewhere
    );
    let text = explanation.to_string();
    assert!(
        text.ends_with("image                             in use outside of this process\n"),
        "{text}"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    let action = collector.explain().resources[0].action;
    assert!(matches!(action, PlannedAction::Evict(_)), "{action:?}");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_rests_says_so_and_what_it_cannot_judge() {
    let machine = Machine::new(500);
    let text = collector(&machine, 100).explain().to_string();
    assert_eq!(text, "All limits that can be judged are kept.\n");
    machine.break_statistics();
    let text = collector(&machine, 100).explain().to_string();
    assert!(
        text.contains("free disk was skipped: the disk is on fire"),
        "{text}"
    );
}
