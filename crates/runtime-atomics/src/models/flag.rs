//! Models of [`Flag`].

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::poll_once;
use crate::Flag;

/// No wake-up is lost. Catches: making the notification after the look at the value in `wait_for`; then
/// a change between the two leaves the waiter asleep, which loom reports as a deadlock.
#[test]
fn waiter_hears_of_every_change() {
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

/// Exactly one of racing swaps makes the change. Catches: a load and a store in place of the swap.
#[test]
fn one_of_racing_swaps_makes_the_change() {
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

/// What the setter wrote before it set the flag is there for who saw it. Catches: `Relaxed` in `get` or in
/// `swap`; then the reader may see the old data, since the data's own accesses order nothing.
#[test]
fn flag_publishes_what_was_written_before() {
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

/// A waiter that is dropped, or kept and not polled again, swallows no wake-up of another. Catches: waking
/// one (`notify_one`) instead of all.
#[test]
fn idle_or_dropped_waiter_swallows_nothing() {
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
