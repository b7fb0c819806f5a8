//! What a `Once` promises.

use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime_atomics::Once;

#[test]
fn only_the_first_call_runs() {
    let once = Once::new();
    let mut runs = 0;
    assert!(once.call(|| runs += 1));
    assert!(!once.call(|| runs += 1));
    assert_eq!(runs, 1);
}

#[test]
fn call_is_done_when_it_has_ended_and_not_before() {
    let once = Once::new();
    once.call(|| assert!(!once.is_done()));
    assert!(once.is_done());
}

#[test]
fn call_from_inside_the_call_is_refused() {
    let once = Once::new();
    once.call(|| assert!(!once.call(|| unreachable!())));
}

#[tokio::test]
async fn panic_passes_on_and_counts_as_done() {
    let once = Once::new();
    let call = || once.call(|| panic!("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    once.wait().await;
    assert!(!once.call(|| unreachable!()));
}

#[tokio::test]
async fn done_can_be_made_polled_and_kept_before_the_call() {
    let once = Once::new();
    let mut done = once.done();
    tokio::select! {
        biased;
        () = &mut done => unreachable!("nothing ran"),
        () = std::future::ready(()) => {}
    }
    let waiter = tokio::spawn(done);
    once.call(|| ());
    waiter.await.unwrap();
}

#[tokio::test]
async fn done_is_ready_again_and_again() {
    let once = Once::new();
    once.call(|| ());
    let mut done = once.done();
    (&mut done).await;
    done.await;
}
