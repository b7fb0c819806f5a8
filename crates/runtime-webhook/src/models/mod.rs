//! Loom models of aborting a connection: every interleaving of two or three threads.
//!
//! A model states one property and the weakening of the code that it detects. Run them with
//! `cargo xtask loom`.

pub(crate) mod loom_shims;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use loom::future::block_on;
use loom::thread;

use crate::connection::{AbortListener, AbortSet, ConnectionHandle, WakeSlot};

fn connection() -> Arc<ConnectionHandle> {
    Arc::new(ConnectionHandle::new(0))
}

/// Waits for the abort in another thread. Loom reports a deadlock if the wake-up is lost.
fn wait_for_abort(connection: &Arc<ConnectionHandle>, slot: WakeSlot) -> thread::JoinHandle<()> {
    let connection = Arc::clone(connection);
    let mut listener = AbortListener::new(slot);
    thread::spawn(move || block_on(poll_fn(|cx| listener.poll(&connection, cx))))
}

/// Detects a check of the flag before the registration of the waker, and a wake-up before the flag is set.
#[test]
fn abort_wakes_a_waiter() {
    loom::model(|| {
        let connection = connection();
        let reader = wait_for_abort(&connection, WakeSlot::Reader);
        connection.abort();
        reader.join().unwrap();
    });
}

/// Detects a single waker for all tasks.
#[test]
fn abort_wakes_reader_and_writer() {
    loom::model(|| {
        let connection = connection();
        let reader = wait_for_abort(&connection, WakeSlot::Reader);
        let writer = wait_for_abort(&connection, WakeSlot::Writer);
        connection.abort();
        reader.join().unwrap();
        writer.join().unwrap();
    });
}

/// Detects a `shut_down` that wakes before it sets the flag, or that wakes another slot.
#[test]
fn shut_down_wakes_the_driver() {
    loom::model(|| {
        let connection = connection();
        let driver = thread::spawn({
            let connection = Arc::clone(&connection);
            move || {
                block_on(poll_fn(|cx| {
                    match connection.poll_aborted(WakeSlot::Driver, cx) {
                        Poll::Pending if connection.is_shutting_down() => Poll::Ready(()),
                        aborted => aborted,
                    }
                }));
            }
        });
        connection.shut_down();
        driver.join().unwrap();
    });
}

/// Detects a listener that relies on a waker which `shut_down` has taken.
#[test]
fn abort_after_shut_down_wakes_the_driver() {
    loom::model(|| {
        let connection = connection();
        let driver = wait_for_abort(&connection, WakeSlot::Driver);
        connection.shut_down();
        connection.abort();
        driver.join().unwrap();
    });
}

/// Detects an `insert` that checks the flag and adds the connection under two locks.
#[test]
fn request_during_detach_is_rejected_or_aborted() {
    loom::model(|| {
        let (set, connection) = (Arc::new(AbortSet::default()), connection());
        let request = thread::spawn({
            let (set, connection) = (Arc::clone(&set), Arc::clone(&connection));
            move || set.insert(&connection)
        });
        set.abort();
        let is_admitted = request.join().unwrap();
        assert_eq!(connection.is_aborted(), is_admitted);
    });
}

/// Detects a `join` that does not leave the previous set, and one that holds a lock while leaving.
#[test]
fn changing_sets_during_detach_leaks_nothing() {
    loom::model(|| {
        let (first, second) = (Arc::<AbortSet>::default(), Arc::<AbortSet>::default());
        let connection = connection();
        assert!(first.insert(&connection));
        let request = thread::spawn({
            let (second, connection) = (Arc::clone(&second), Arc::clone(&connection));
            move || assert!(second.insert(&connection))
        });
        first.abort();
        request.join().unwrap();
        connection.leave_abort_set();
        for set in [&first, &second] {
            assert_eq!((Arc::strong_count(set), set.len()), (1, 0));
        }
    });
}
