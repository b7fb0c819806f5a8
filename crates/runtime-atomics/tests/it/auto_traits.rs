//! Auto traits of the public handles and futures.

use runtime_atomics::{Done, DrainingError, Flag, Guard, Once, WaitGroup};

fn all_three<T: Send + Sync + Unpin + 'static>() {}
fn future<T: Future + Send + Sync>(_: T) {}

#[test]
fn handles_and_futures_are_send_sync_unpin() {
    all_three::<Flag>();
    all_three::<Once>();
    all_three::<Done>();
    all_three::<WaitGroup>();
    all_three::<Guard>();
    all_three::<DrainingError>();
}

#[test]
fn async_futures_are_send_and_sync() {
    future(Flag::default().wait_for(true));
    future(Once::new().wait());
    let group = WaitGroup::new();
    future(group.wait());
    future(group.wait_for_less_than(1));
    future(group.wait_and_drain());
}
