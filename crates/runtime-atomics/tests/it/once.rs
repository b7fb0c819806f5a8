//! Behaviour of `Once`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime_atomics::Once;

use crate::ends;

#[test]
fn only_the_first_call_runs() {
    let once = Once::new();
    let mut runs = 0;
    assert!(once.call(|| runs += 1));
    assert!(!once.call(|| runs += 1));
    assert_eq!(runs, 1);
}

#[test]
fn is_done_after_the_call_ended() {
    let once = Once::new();
    once.call(|| assert!(!once.is_done()));
    assert!(once.is_done());
}

#[test]
fn nested_call_is_refused() {
    let once = Once::new();
    once.call(|| assert!(!once.call(|| unreachable!())));
}

#[tokio::test(start_paused = true)]
async fn panic_propagates_and_counts_as_done() {
    let once = Once::new();
    let call = || once.call(|| panic!("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    ends(once.wait()).await;
    assert!(!once.call(|| unreachable!()));
}

#[tokio::test(start_paused = true)]
async fn panic_wakes_earlier_waiters() {
    let once = Once::new();
    let waiter = tokio::spawn(once.done());
    tokio::task::yield_now().await;
    let call = || once.call(|| panic!("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    ends(waiter).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn done_can_be_created_before_the_call() {
    let once = Once::new();
    let mut done = once.done();
    tokio::select! {
        biased;
        () = &mut done => unreachable!("nothing ran"),
        () = std::future::ready(()) => {}
    }
    let waiter = tokio::spawn(done);
    once.call(|| ());
    ends(waiter).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn done_stays_ready() {
    let once = Once::new();
    once.call(|| ());
    let mut done = once.done();
    ends(&mut done).await;
    ends(done).await;
}
