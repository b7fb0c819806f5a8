//! Models of [`WaitGroup`].

use loom::future::block_on;
use loom::thread;

use super::poll_once;
use crate::wait_group::WaitGroup;

/// No wake-up is lost. Catches: creating the notification after reading the count, and notifying before
/// the count is decremented.
#[test]
fn waiter_is_woken_by_the_last_guard() {
    loom::model(|| {
        let group = WaitGroup::new();
        let (here, there) = (group.add(1).unwrap(), group.add(1).unwrap());
        let ender = thread::spawn(move || drop(there));
        drop(here);
        block_on(group.wait());
        assert_eq!(group.count(), 0);
        ender.join().unwrap();
    });
}

/// Nothing is added after a drain. Catches: reading the draining bit and adding in two steps.
#[test]
fn drain_excludes_later_adds() {
    loom::model(|| {
        let group = WaitGroup::new();
        let adder = thread::spawn({
            let group = group.clone();
            move || group.add(1).map(std::mem::forget).is_ok()
        });
        group.drain();
        let count = group.count();
        let added = adder.join().unwrap();
        assert_eq!(
            count,
            usize::from(added),
            "an add came through after the drain"
        );
    });
}

/// Nothing is added between the end of the wait and the drain. Catches: `wait` followed by `drain`.
#[test]
fn wait_and_drain_is_one_step() {
    loom::model(|| {
        let group = WaitGroup::new();
        let guard = group.add(1).unwrap();
        let worker = thread::spawn({
            let group = group.clone();
            move || {
                drop(guard);
                // A successful add keeps the drain waiting until its guard is dropped.
                if let Ok(guard) = group.add(1) {
                    assert!(!group.is_draining(), "added after the wait ended");
                    drop(guard);
                }
            }
        });
        block_on(group.wait_and_drain());
        assert_eq!(group.count(), 0);
        worker.join().unwrap();
        assert_eq!(group.count(), 0);
    });
}

/// An idle or dropped waiter does not consume the wake-up of another. Catches: `notify_one` instead of
/// `notify_waiters`.
#[test]
fn idle_or_dropped_waiter_keeps_no_wakeup() {
    loom::model(|| {
        let group = WaitGroup::new();
        let guards = group.add(2).unwrap();
        let ender = thread::spawn(move || drop(guards));
        let mut idle = Box::pin(group.wait_for_less_than(2));
        let mut dropped = Box::pin(group.wait_for_less_than(2));
        let _ = (poll_once(&mut idle), poll_once(&mut dropped));
        drop(dropped);
        block_on(group.wait_for_less_than(2));
        ender.join().unwrap();
    });
}

/// Writes under a guard are visible after the wait. Catches: `Relaxed` in `done` or in reading the
/// count.
#[test]
fn wait_sees_writes_under_the_guard() {
    use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    loom::model(|| {
        let group = WaitGroup::new();
        let data = std::sync::Arc::new(AtomicUsize::new(0));
        let guard = group.add(1).unwrap();
        let worker = thread::spawn({
            let data = data.clone();
            move || {
                data.store(7, Relaxed);
                drop(guard);
            }
        });
        block_on(group.wait());
        assert_eq!(data.load(Relaxed), 7);
        worker.join().unwrap();
    });
}
