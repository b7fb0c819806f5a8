//! Models of cutting a connection under loom: every order of every access, with two or three threads.
//!
//! A model states one property and names the weakening of the code that makes it fail. Run them with
//! `cargo xtask loom`.

pub(crate) mod stand_in;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use loom::future::block_on;
use loom::thread;
use runtime_core::webhook::{Body, Response, from_fn};

use crate::OnDetach;
use crate::cut::{By, Cut};
use crate::id::HookId;
use crate::registry::Hook;

/// Waits in a thread of its own until the connection is cut; loom tells if that never comes.
fn wait(connection: &Arc<Cut>, by: By) -> thread::JoinHandle<()> {
    let connection = Arc::clone(connection);
    thread::spawn(move || block_on(poll_fn(|cx| connection.poll_cut(by, cx))))
}

/// Whoever waits hears of the cut. Catches: looking at the switch before the waker is registered, and
/// waking before the switch is thrown.
#[test]
fn a_waiter_hears_of_the_cut() {
    loom::model(|| {
        let connection = Arc::new(Cut::new(0));
        let reader = wait(&connection, By::Reader);
        connection.cut();
        reader.join().unwrap();
    });
}

/// A reader and a writer that wait at the same time both hear of the cut. Catches: one waker for all.
#[test]
fn reader_and_writer_both_hear_of_the_cut() {
    loom::model(|| {
        let connection = Arc::new(Cut::new(0));
        let reader = wait(&connection, By::Reader);
        let writer = wait(&connection, By::Writer);
        connection.cut();
        reader.join().unwrap();
        writer.join().unwrap();
    });
}

/// Whoever drives a connection hears that it is to finish, and that it is cut meanwhile. Catches: a `finish` that
/// wakes before it says what it wants, and one that wakes somebody else.
#[test]
fn a_driver_hears_that_it_is_to_finish() {
    loom::model(|| {
        let connection = Arc::new(Cut::new(0));
        let driver = thread::spawn({
            let connection = Arc::clone(&connection);
            move || {
                block_on(poll_fn(|cx| match connection.poll_cut(By::Driver, cx) {
                    Poll::Pending if connection.is_finishing() => Poll::Ready(()),
                    cut => cut,
                }));
            }
        });
        connection.finish();
        driver.join().unwrap();
    });
}

fn hook() -> Arc<Hook> {
    let handler = from_fn(|_| async { Response::new(Body::empty()) });
    Arc::new(Hook::new(HookId::random().unwrap(), handler, OnDetach::Cut))
}

/// A request that comes while its hook is detached is refused or cut, never forgotten. Catches: looking
/// whether the hook is detached, and noting the connection, under two locks.
#[test]
fn a_request_to_a_hook_that_goes_is_refused_or_cut() {
    loom::model(|| {
        let (hook, connection) = (hook(), Arc::new(Cut::new(0)));
        let request = thread::spawn({
            let (hook, connection) = (Arc::clone(&hook), Arc::clone(&connection));
            move || hook.enter(&connection)
        });
        hook.cut();
        let is_entered = request.join().unwrap();
        assert_eq!(connection.is_cut(), is_entered);
    });
}

/// A connection that goes on to another hook while the first is detached keeps neither alive in the end.
/// Catches: a `serves` that does not leave the hook before, and leaving it while its lock is held.
#[test]
fn nothing_is_left_of_a_connection_that_went_on() {
    loom::model(|| {
        let (first, second, connection) = (hook(), hook(), Arc::new(Cut::new(0)));
        assert!(first.enter(&connection));
        let request = thread::spawn({
            let (second, connection) = (Arc::clone(&second), Arc::clone(&connection));
            move || assert!(second.enter(&connection))
        });
        first.cut();
        request.join().unwrap();
        connection.serves_nothing();
        for hook in [&first, &second] {
            assert_eq!((Arc::strong_count(hook), hook.connections()), (1, 0));
        }
    });
}
