//! Reservations of disk space.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Behaviour, Machine};
use runtime_gc::{
    Amount, Footprint, GarbageCollector, GcConfig, InUse, LimitKind, Size, Threshold,
};

fn collector(machine: &Machine, minimum: u64) -> GarbageCollector {
    let mut config = GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(minimum)));
    GarbageCollector::new(config, machine.clone())
}

#[tokio::test(start_paused = true)]
async fn free_space_is_reserved_without_eviction() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    collector
        .tracker()
        .register(Arc::new(machine.resource("idle")));
    let reservation = collector.reserve(400).await.unwrap();
    assert_eq!((reservation.bytes(), machine.disposals()), (400, 0));
}

#[tokio::test(start_paused = true)]
async fn reservation_is_on_top_of_the_minimum() {
    let machine = Machine::new(200);
    let collector = collector(&machine, 100);
    for name in ["a", "b", "c"] {
        collector
            .tracker()
            .register(Arc::new(machine.resource(name)));
    }
    let _reservation = collector.tracker().reserve(250).await.unwrap();
    assert_eq!((machine.disposals(), machine.free()), (2, 400));
}

#[tokio::test(start_paused = true)]
async fn reservation_evicts_without_a_minimum() {
    let machine = Machine::new(50);
    let collector = GarbageCollector::new(GcConfig::default(), machine.clone());
    collector
        .tracker()
        .register(Arc::new(machine.resource("a")));
    assert!(collector.reserve(100).await.is_ok());
    assert_eq!(machine.disposals(), 1);
}

#[tokio::test(start_paused = true)]
async fn reserved_space_is_reserved_once() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let first = collector.reserve(300).await.unwrap();
    let error = collector.reserve(200).await.unwrap_err();
    assert_eq!((error.bytes, error.shortage.missing), (200, 100));
    assert!(
        collector.collect().await.can_claim(),
        "a failed reservation keeps nothing free"
    );
    drop(first);
    assert!(collector.reserve(200).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn written_bytes_do_not_count_twice() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let mut reservation = collector.reserve(400).await.unwrap();
    machine.use_disk(300);
    assert!(!collector.collect().await.can_claim());
    reservation.record_written(300);
    assert_eq!(reservation.bytes(), 100);
    assert!(collector.collect().await.can_claim());
    reservation.record_written(u64::MAX);
    assert_eq!(reservation.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn error_lists_the_obstacles() {
    let machine = Machine::new(0);
    let collector = collector(&machine, 50);
    let busy = Arc::new(machine.resource("busy"));
    let _user = InUse::first(busy.clone());
    collector.tracker().register(busy);
    let stuck = machine.resource("stuck").behaviour(Behaviour::Fails(9));
    collector.tracker().register(Arc::new(stuck));
    let error = collector.reserve(50).await.unwrap_err();
    assert_eq!(
        (error.in_use, error.quarantined, error.shortage.missing),
        (1, 1, 100)
    );
    assert_eq!(error.shortage.rule.limit, LimitKind::FreeDisk);
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "not enough disk space to reserve 50 B: 100 B missing (resources in use: 1, quarantined: 1, \
         reserved by others: 0 B); \
         wait until tasks end, lower the minimum of free space, or use a larger disk"
    );
}

#[tokio::test(start_paused = true)]
async fn reservations_of_others_are_transient() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let first = collector.reserve(300).await.unwrap();
    let error = collector.reserve(200).await.unwrap_err();
    assert_eq!((error.reserved, error.in_use), (300, 0));
    assert!(error.is_transient());
    assert!(
        error.to_string().contains("reserved by others: 300 B"),
        "{error}"
    );
    drop(first);
    assert!(collector.reserve(200).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn use_elsewhere_is_transient() {
    let machine = Machine::new(100);
    let collector = collector(&machine, 0);
    let image = machine
        .resource("image")
        .behaviour(Behaviour::UsedElsewhere);
    collector.tracker().register(Arc::new(image));
    for _ in 0..2 {
        let error = collector.reserve(200).await.unwrap_err();
        assert_eq!((error.in_use, error.shortage.missing), (1, 100));
        assert!(error.is_transient());
    }
}

#[tokio::test(start_paused = true)]
async fn request_beyond_capacity_evicts_nothing() {
    let machine = Machine::new(500);
    let collector = collector(&machine, 100);
    let tracker = collector.tracker();
    let unknown = Footprint::disk(Size::Unknown);
    tracker.register(Arc::new(machine.resource("a").footprint(unknown)));
    let busy = Arc::new(machine.resource("busy"));
    let _user = InUse::first(busy.clone());
    tracker.register(busy);
    let error = collector.reserve(901).await.unwrap_err();
    assert!(!error.is_transient(), "waiting does not help");
    assert_eq!((error.capacity, machine.disposals()), (900, 0));
    assert_eq!(
        error.to_string(),
        "not enough disk space to reserve 901 B: the disk holds at most 900 B above its minimum of \
         free space; lower the minimum, or use a larger disk"
    );
    assert!(collector.collect().await.can_claim());
}

#[tokio::test(start_paused = true)]
async fn hopeless_request_evicts_nothing() {
    let machine = Machine::new(100);
    let collector = collector(&machine, 0);
    let tracker = collector.tracker();
    tracker.register(Arc::new(machine.resource("idle")));
    let busy = Arc::new(machine.resource("busy"));
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
async fn one_of_two_concurrent_requests_succeeds() {
    let machine = Machine::new(0);
    let collector = collector(&machine, 0);
    let slow = machine
        .resource("slow")
        .behaviour(Behaviour::Takes(Duration::from_secs(1)));
    collector.tracker().register(Arc::new(slow));
    let (first, second) = tokio::join!(biased; collector.reserve(60), collector.reserve(60));
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().reserved, 60);
}

#[tokio::test(start_paused = true)]
async fn unreadable_disk_grants_everything() {
    let machine = Machine::new(0);
    machine.break_stats();
    let collector = collector(&machine, 100);
    collector
        .tracker()
        .register(Arc::new(machine.resource("a")));
    assert!(collector.reserve(u64::MAX).await.is_ok());
    assert_eq!(machine.disposals(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropped_request_reserves_nothing() {
    let machine = Machine::new(0);
    let collector = collector(&machine, 0);
    let hangs = machine.resource("hangs").behaviour(Behaviour::Hangs);
    collector.tracker().register(Arc::new(hangs));
    tokio::select! {
        _ = collector.reserve(100) => unreachable!("nothing is freed"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    machine.set_free(500);
    assert!(collector.reserve(500).await.is_ok());
}
