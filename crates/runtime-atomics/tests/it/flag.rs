//! Behaviour of `Flag`.

use runtime_atomics::Flag;

use crate::ends;

#[test]
fn swap_returns_the_previous_value() {
    let flag = Flag::default();
    assert!(!flag.swap(true));
    assert!(flag.swap(true));
    assert!(flag.get());
}

#[test]
fn clones_share_the_value() {
    let flag = Flag::new(false);
    flag.clone().set(true);
    assert!(flag.get());
}

#[tokio::test(start_paused = true)]
async fn wait_for_current_value_returns_at_once() {
    ends(Flag::new(true).wait_for(true)).await;
    ends(Flag::new(false).wait_for(false)).await;
}

#[tokio::test(start_paused = true)]
async fn every_waiter_is_woken() {
    let flag = Flag::new(false);
    let waiters = (0..10).map(|_| {
        let flag = flag.clone();
        tokio::spawn(async move { flag.wait_for(true).await })
    });
    let waiters: Vec<_> = waiters.collect();
    tokio::task::yield_now().await;
    flag.set(true);
    for waiter in waiters {
        ends(waiter).await.unwrap();
    }
}

#[test]
fn debug_shows_the_value() {
    assert_eq!(format!("{:?}", Flag::new(true)), "Flag(true)");
}
