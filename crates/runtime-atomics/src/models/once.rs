//! Models of [`Once`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::poll_once;
use crate::once::Once;

/// Exactly one of two concurrent callers runs. Catches: a load and a store instead of the swap in `call`.
#[test]
fn one_concurrent_caller_runs() {
    loom::model(|| {
        let once = Once::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let call = {
            let (once, runs) = (once.clone(), Arc::clone(&runs));
            move || {
                once.call(|| {
                    runs.fetch_add(1, Relaxed);
                })
            }
        };
        let other = thread::spawn(call.clone());
        let here = call();
        let there = other.join().unwrap();
        assert_ne!(here, there);
        assert_eq!(runs.load(Relaxed), 1);
    });
}

/// Two waiters are woken and see the writes of the call. Catches: `Relaxed` for `done`, and creating the
/// notification after the second read of `done`.
#[test]
fn waiters_are_woken_and_see_the_work() {
    loom::model(|| {
        let once = Once::new();
        let data = Arc::new(AtomicUsize::new(0));
        let wait = {
            let (once, data) = (once.clone(), Arc::clone(&data));
            move || {
                block_on(once.wait());
                assert_eq!(data.load(Relaxed), 7);
            }
        };
        let waiter = thread::spawn(wait);
        once.call(|| data.store(7, Relaxed));
        block_on(once.wait());
        waiter.join().unwrap();
    });
}

/// A panic inside the call wakes waiters. Catches: setting `done` after the call instead of in a
/// destructor.
#[test]
fn panic_inside_the_call_wakes_waiters() {
    loom::model(|| {
        let once = Once::new();
        let caller = thread::spawn({
            let once = once.clone();
            move || {
                let call = || once.call(|| std::panic::resume_unwind(Box::new("test")));
                assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
            }
        });
        block_on(once.wait());
        caller.join().unwrap();
    });
}

/// An idle or dropped waiter does not consume the wake-up of another. Catches: `notify_one` instead of
/// `notify_waiters`.
#[test]
fn idle_or_dropped_waiter_keeps_no_wakeup() {
    loom::model(|| {
        let once = Once::new();
        let caller = thread::spawn({
            let once = once.clone();
            move || once.call(|| ())
        });
        let (mut idle, mut dropped) = (once.done(), once.done());
        let _ = (poll_once(&mut idle), poll_once(&mut dropped));
        drop(dropped);
        block_on(once.done());
        caller.join().unwrap();
    });
}
