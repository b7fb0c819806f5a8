//! Models of [`Flag`].

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::poll_once;
use crate::flag::Flag;

/// No wake-up is lost. Catches: creating the notification after reading the value in `wait_for`, so that
/// a change in between leaves the waiter asleep, which loom reports as a deadlock.
#[test]
fn waiter_is_woken_by_every_change() {
    loom::model(|| {
        let flag = Flag::new(false);
        let setter = thread::spawn({
            let flag = flag.clone();
            move || flag.set(true)
        });
        block_on(flag.wait_for(true));
        assert!(flag.get());
        setter.join().unwrap();
    });
}

/// Exactly one of two concurrent swaps changes the value. Catches: a load and a store instead of a swap.
#[test]
fn one_concurrent_swap_changes_the_value() {
    loom::model(|| {
        let flag = Flag::new(false);
        let other = thread::spawn({
            let flag = flag.clone();
            move || flag.swap(true)
        });
        let here = flag.swap(true);
        let there = other.join().unwrap();
        assert_ne!(here, there);
    });
}

/// Writes before setting the flag are visible to a reader that sees it set. Catches: `Relaxed` in `get` or
/// `swap`.
#[test]
fn flag_publishes_earlier_writes() {
    loom::model(|| {
        let flag = Flag::new(false);
        let data = Arc::new(AtomicUsize::new(0));
        let setter = thread::spawn({
            let (flag, data) = (flag.clone(), Arc::clone(&data));
            move || {
                data.store(7, Relaxed);
                flag.set(true);
            }
        });
        if flag.get() {
            assert_eq!(data.load(Relaxed), 7);
        }
        setter.join().unwrap();
    });
}

/// An idle or dropped waiter does not consume the wake-up of another. Catches: `notify_one` instead of
/// `notify_waiters`.
#[test]
fn idle_or_dropped_waiter_keeps_no_wakeup() {
    loom::model(|| {
        let flag = Flag::new(false);
        let setter = thread::spawn({
            let flag = flag.clone();
            move || flag.set(true)
        });
        let mut idle = Box::pin(flag.wait_for(true));
        let mut dropped = Box::pin(flag.wait_for(true));
        let _ = (poll_once(&mut idle), poll_once(&mut dropped));
        drop(dropped);
        block_on(flag.wait_for(true));
        setter.join().unwrap();
    });
}
