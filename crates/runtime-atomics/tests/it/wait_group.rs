//! Behaviour of `WaitGroup`.

use std::time::Duration;

use runtime_atomics::{DrainingError, WaitGroup};
use tokio::time::timeout;

use crate::ends;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn wait_on_empty_group_returns_at_once() {
    ends(WaitGroup::new().wait()).await;
}

#[tokio::test(start_paused = true)]
async fn wait_ends_with_the_last_guard() {
    let group = WaitGroup::new();
    let (first, second) = (group.add(1).unwrap(), group.add(2).unwrap());
    let mut wait = Box::pin(group.wait());
    drop(first);
    assert!(timeout(LONG, &mut wait).await.is_err());
    second.done();
    ends(wait).await;
}

#[tokio::test(start_paused = true)]
async fn wait_for_less_than_ends_below_the_limit() {
    let group = WaitGroup::new();
    let (first, _second) = (group.add(1).unwrap(), group.add(1).unwrap());
    ends(group.wait_for_less_than(3)).await;
    assert!(timeout(LONG, group.wait_for_less_than(2)).await.is_err());
    drop(first);
    ends(group.wait_for_less_than(2)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no count is less than 0")]
async fn wait_for_less_than_zero_panics() {
    let _ = timeout(LONG, WaitGroup::new().wait_for_less_than(0)).await;
}

#[test]
fn draining_group_refuses_even_zero() {
    let group = WaitGroup::new();
    drop(group.add(0).expect("it accepts work"));
    group.drain();
    assert_eq!(group.add(0).unwrap_err(), DrainingError);
}

#[test]
fn drain_refuses_more_and_keeps_the_count() {
    let group = WaitGroup::new();
    let _guard = group.add(2).unwrap();
    group.drain();
    assert_eq!(group.add(1).unwrap_err(), DrainingError);
    assert_eq!(group.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn wait_and_drain_accepts_until_zero() {
    let group = WaitGroup::new();
    let first = group.add(1).unwrap();
    let drained = tokio::spawn({
        let group = group.clone();
        async move { group.wait_and_drain().await }
    });
    tokio::task::yield_now().await;
    let second = group.add(1).unwrap();
    drop(first);
    tokio::task::yield_now().await;
    assert!(!group.is_draining());
    drop(second);
    ends(drained).await.unwrap();
    assert!(group.is_draining());
}

#[test]
fn dropped_wait_and_drain_has_no_effect() {
    let group = WaitGroup::new();
    let _guard = group.add(1).unwrap();
    drop(group.wait_and_drain());
    assert!(!group.is_draining());
}

#[test]
fn split_keeps_the_count() {
    let group = WaitGroup::new();
    let mut guard = group.add(3).unwrap();
    group.drain();
    let part = guard.split(1);
    assert_eq!(group.count(), 3);
    drop(part);
    assert_eq!(group.count(), 2);
}

#[test]
fn display_shows_count_and_draining() {
    let group = WaitGroup::new();
    let _guard = group.add(3).unwrap();
    assert_eq!(group.to_string(), "3 in flight");
    group.drain();
    assert_eq!(group.to_string(), "3 in flight, draining");
}
