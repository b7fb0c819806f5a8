//! Loom models of [`StoppableOnce`] and [`ShardedSum`], with the mutations that they detect.
//!
//! `cargo xtask loom` runs them.

pub(crate) mod loom_shims;

use std::sync::Arc;

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;

use crate::lifecycle::{Stoppable, StoppableOnce};
use crate::monitor::sharded_sum::{MAX_OWNERS, Owners, ShardedSum};

/// Counts calls, and refuses a graceful stop after the start of an immediate one.
#[derive(Debug)]
struct Calls {
    graceful: AtomicUsize,
    now: AtomicUsize,
}

impl Calls {
    fn wrapped() -> (Arc<Self>, Arc<StoppableOnce>) {
        let calls = Arc::new(Self {
            graceful: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
        });
        let once = StoppableOnce::new(Arc::clone(&calls) as Arc<dyn Stoppable>);
        (calls, Arc::new(once))
    }
}

impl Stoppable for Calls {
    fn stop_now(&self) {
        self.now.fetch_add(1, SeqCst);
    }

    fn stop_gracefully(&self) {
        assert_eq!(self.now.load(SeqCst), 0, "graceful after immediate");
        self.graceful.fetch_add(1, SeqCst);
    }
}

fn spawn(once: &Arc<StoppableOnce>, stop: fn(&StoppableOnce)) -> thread::JoinHandle<()> {
    let once = Arc::clone(once);
    thread::spawn(move || stop(&once))
}

/// If a graceful and an immediate stop race, the graceful one is forwarded before the immediate one or not at
/// all, and the immediate one exactly once.
///
/// Catches: ignoring `is_forwarding`, so that two threads call the component at once. Also catches forwarding one
/// stop instead of looping, and setting `forwarded` after the call: both lose a stop that is requested during the
/// call.
#[test]
fn graceful_stop_never_follows_an_immediate_one() {
    loom::model(|| {
        let (calls, once) = Calls::wrapped();
        let graceful = spawn(&once, |once| once.stop_gracefully());
        once.stop_now();
        graceful.join().unwrap();
        assert!(calls.graceful.load(SeqCst) <= 1);
        assert_eq!(calls.now.load(SeqCst), 1);
    });
}

/// Threads that own an index one after the other or at once, and threads without one, lose no addition.
///
/// Catches: an index that two threads claim at once, `Relaxed` in `claim` or `release`, a release before the last addition,
/// and a load and a store for the shared part.
#[test]
fn sharded_sum_loses_no_addition() {
    loom::model(|| {
        let shared = Arc::new((Owners::default(), ShardedSum::default()));
        let work = {
            let shared = Arc::clone(&shared);
            move || {
                let (owners, sum) = &*shared;
                sum.add_as(MAX_OWNERS, 1);
                let owner = owners.claim();
                sum.add_as(owner, 1);
                owners.release(owner);
            }
        };
        let other = thread::spawn(work.clone());
        work();
        other.join().unwrap();
        assert_eq!(shared.1.get(), 4);
    });
}

/// Catches: an index at or above the number of owned parts.
#[test]
fn owners_beyond_the_limit_share() {
    loom::model(|| {
        let owners = Owners::default();
        let claims: Vec<usize> = (0..=MAX_OWNERS).map(|_| owners.claim()).collect();
        assert!(claims.iter().copied().eq(0..=MAX_OWNERS));
        owners.release(MAX_OWNERS);
        owners.release(3);
        assert_eq!((owners.claim(), owners.claim()), (3, MAX_OWNERS));
    });
}
