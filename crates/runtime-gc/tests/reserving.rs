//! Room that is made before it is needed.

mod support;

use std::sync::Arc;

use runtime_gc::{Amount, Config, GarbageCollector, InUse, Limit, Mark};
use support::{Behaviour, Machine};

fn collector(machine: &Machine, floor: u64) -> GarbageCollector {
    let mut config = Config::default();
    config.limits.min_free_disk = Some(Mark::at(Amount::Absolute(floor)));
    GarbageCollector::new(config, machine.clone())
}

#[tokio::test(start_paused = true)]
async fn room_that_is_there_is_granted_and_nothing_goes() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    collector
        .tracker()
        .register(Arc::new(machine.thing("idle")));
    let reservation = collector.reserve(400).await.unwrap();
    assert_eq!((reservation.bytes(), machine.disposals()), (400, 0));
}

#[tokio::test(start_paused = true)]
async fn room_is_made_on_top_of_the_floor() {
    let machine = Machine::new(200);
    let collector = collector(&machine, 100);
    for name in ["a", "b", "c"] {
        collector.tracker().register(Arc::new(machine.thing(name)));
    }
    let _reservation = collector.tracker().reserve(250).await.unwrap();
    assert_eq!((machine.disposals(), machine.free()), (2, 400));
}

#[tokio::test(start_paused = true)]
async fn room_is_made_without_any_floor() {
    let machine = Machine::new(50);
    let collector = GarbageCollector::new(Config::default(), machine.clone());
    collector.tracker().register(Arc::new(machine.thing("a")));
    assert!(collector.reserve(100).await.is_ok());
    assert_eq!(machine.disposals(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_promised_to_one_is_not_promised_to_another() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let first = collector.reserve(300).await.unwrap();
    let error = collector.reserve(200).await.unwrap_err();
    assert_eq!((error.bytes, error.shortage.missing), (200, 100));
    assert!(
        collector.collect().await.can_claim(),
        "what was refused is not kept free"
    );
    drop(first);
    assert!(collector.reserve(200).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_written_does_not_count_twice() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let mut reservation = collector.reserve(400).await.unwrap();
    machine.use_disk(300);
    assert!(!collector.collect().await.can_claim());
    reservation.written(300);
    assert_eq!(reservation.bytes(), 100);
    assert!(collector.collect().await.can_claim());
    reservation.written(u64::MAX);
    assert_eq!(reservation.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_is_in_the_way() {
    let machine = Machine::new(0);
    let collector = collector(&machine, 100);
    let busy = Arc::new(machine.thing("busy"));
    let _user = InUse::first(busy.clone());
    collector.tracker().register(busy);
    let stuck = machine.thing("stuck").does(Behaviour::Fails(9));
    collector.tracker().register(Arc::new(stuck));
    let error = collector.reserve(1000).await.unwrap_err();
    assert_eq!(
        (error.in_use, error.quarantined, error.shortage.missing),
        (1, 1, 1100)
    );
    assert_eq!(error.shortage.rule.limit, Limit::FreeDisk);
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "no room for 1000 B on disk: 1.1 KiB are missing, 1 resources are in use and 1 could not be freed; \
         wait until tasks end, lower the floor, or give the worker a larger disk"
    );
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_too_small_is_no_passing_trouble() {
    let machine = Machine::new(10);
    let error = collector(&machine, 100).reserve(1000).await.unwrap_err();
    assert!(!error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_read_grants_everything() {
    let machine = Machine::new(0);
    machine.break_statistics();
    let collector = collector(&machine, 100);
    collector.tracker().register(Arc::new(machine.thing("a")));
    assert!(collector.reserve(u64::MAX).await.is_ok());
    assert_eq!(machine.disposals(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_given_up_leaves_nothing_reserved() {
    let machine = Machine::new(0);
    let collector = collector(&machine, 0);
    let hangs = machine.thing("hangs").does(Behaviour::Hangs);
    collector.tracker().register(Arc::new(hangs));
    tokio::select! {
        _ = collector.reserve(500) => unreachable!("nothing becomes free"),
        () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
    }
    machine.set_free(500);
    assert!(collector.reserve(500).await.is_ok());
}
