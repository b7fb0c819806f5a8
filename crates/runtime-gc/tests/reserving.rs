//! Room that is made before it is needed.

mod support;

use std::sync::Arc;
use std::time::Duration;

use runtime_gc::{Amount, Footprint, GarbageCollector, GcConfig, InUse, Limit, Size, Threshold};
use support::{Behaviour, Machine};

fn collector(machine: &Machine, floor: u64) -> GarbageCollector {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(floor)));
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
    let collector = GarbageCollector::new(GcConfig::default(), machine.clone());
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
    let collector = collector(&machine, 50);
    let busy = Arc::new(machine.thing("busy"));
    let _user = InUse::first(busy.clone());
    collector.tracker().register(busy);
    let stuck = machine.thing("stuck").does(Behaviour::Fails(9));
    collector.tracker().register(Arc::new(stuck));
    let error = collector.reserve(50).await.unwrap_err();
    assert_eq!(
        (error.in_use, error.quarantined, error.shortage.missing),
        (1, 1, 100)
    );
    assert_eq!(error.shortage.rule.limit, Limit::FreeDisk);
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "no room for 50 B on disk: 100 B are missing, 1 resources are in use, 1 could not be freed and 0 B are \
         reserved by others; \
         wait until tasks end, lower the floor, or give the worker a larger disk"
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_have_reserved_is_passing_trouble() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let first = collector.reserve(300).await.unwrap();
    let error = collector.reserve(200).await.unwrap_err();
    assert_eq!((error.reserved, error.in_use), (300, 0));
    assert!(error.is_transient());
    assert!(
        error.to_string().contains("300 B are reserved by others"),
        "{error}"
    );
    drop(first);
    assert!(collector.reserve(200).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_something_outside_uses_is_passing_trouble() {
    let machine = Machine::new(100);
    let collector = collector(&machine, 0);
    let image = machine.thing("image").does(Behaviour::UsedElsewhere);
    collector.tracker().register(Arc::new(image));
    for _ in 0..2 {
        let error = collector.reserve(200).await.unwrap_err();
        assert_eq!((error.in_use, error.shortage.missing), (1, 100));
        assert!(error.is_transient());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_can_never_hold_is_refused_and_nothing_goes() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let tracker = collector.tracker();
    let unknown = Footprint::disk(Size::Unknown);
    tracker.register(Arc::new(machine.thing("a").footprint(unknown)));
    let busy = Arc::new(machine.thing("busy"));
    let _user = InUse::first(busy.clone());
    tracker.register(busy);
    let error = collector.reserve(901).await.unwrap_err();
    assert!(!error.is_transient(), "nothing that ends helps");
    assert_eq!((error.capacity, machine.disposals()), (900, 0));
    assert_eq!(
        error.to_string(),
        "no room for 901 B on disk, which can hold 900 B above its floor; \
         lower the floor, or give the worker a larger disk"
    );
    assert!(collector.collect().await.can_claim());
}

#[tokio::test(start_paused = true)]
async fn what_all_that_is_idle_does_not_make_room_for_is_refused_and_nothing_goes() {
    let machine = Machine::new(100);
    let collector = collector(&machine, 0);
    let tracker = collector.tracker();
    tracker.register(Arc::new(machine.thing("idle")));
    let busy = Arc::new(machine.thing("busy"));
    let user = InUse::first(busy.clone());
    tracker.register(busy);
    let error = collector.reserve(300).await.unwrap_err();
    assert_eq!((error.in_use, error.shortage.missing), (1, 100));
    assert!(error.is_transient());
    assert_eq!(machine.disposals(), 0);
    drop(user);
    assert!(collector.reserve(300).await.is_ok());
    assert_eq!(machine.disposals(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_two_who_ask_at_a_time_one_gets_what_there_is() {
    let machine = Machine::new(0);
    let collector = collector(&machine, 0);
    let slow = machine
        .thing("slow")
        .does(Behaviour::Takes(Duration::from_secs(1)));
    collector.tracker().register(Arc::new(slow));
    let (first, second) = tokio::join!(biased; collector.reserve(60), collector.reserve(60));
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().reserved, 60);
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
        _ = collector.reserve(100) => unreachable!("nothing becomes free"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    machine.set_free(500);
    assert!(collector.reserve(500).await.is_ok());
}
