//! A loom model of [`StoppableOnce`], with the mutations that it detects.
//!
//! `cargo xtask loom` runs it.

pub(crate) mod loom_shims;

use std::sync::Arc;

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;

use crate::lifecycle::{Stoppable, StoppableOnce};

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
