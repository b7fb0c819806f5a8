//! Models of the count of users under loom: every order of every access, with two or three threads.
//!
//! A model states one property and names the weakening of the code that makes it fail. Run them with
//! `cargo xtask loom`.

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::uses::{Claim, Left, Uses};

/// What is claimed has no user and gets none, and what its last user wrote is there for the claim.
/// Catches: `Relaxed` in `swap` or in `enter`, and a claim that looks at the users and sets the bit in two steps.
#[test]
fn a_claimed_resource_is_in_nobodys_hands() {
    loom::model(|| {
        let uses = Arc::new(Uses::new());
        let data = Arc::new(AtomicUsize::new(0));
        let user = thread::spawn({
            let (uses, data) = (Arc::clone(&uses), Arc::clone(&data));
            move || {
                if uses.enter() {
                    // Two accesses, between which a claim would see the 1.
                    data.store(1, Relaxed);
                    data.store(2, Relaxed);
                    uses.leave(|| ());
                }
            }
        });
        if uses.claim() == Claim::Claimed {
            assert_ne!(data.load(Relaxed), 1, "claimed while in use");
            let seen = data.load(Relaxed);
            user.join().unwrap();
            assert_eq!(data.load(Relaxed), seen, "used after it was claimed");
            assert!(!uses.enter());
        } else {
            user.join().unwrap();
        }
    });
}

/// A claim that found a user is told when the last one leaves, and once. Catches: setting `WATCHED`
/// after the look at the users, and a `leave` that does not take it away with the last user.
#[test]
fn the_last_user_tells_who_watches() {
    loom::model(|| {
        let uses = Arc::new(Uses::new());
        assert!(uses.enter() && uses.enter());
        let leave = |uses: Arc<Uses>| move || usize::from(uses.leave(|| ()) == Left::Watched);
        let one = thread::spawn(leave(Arc::clone(&uses)));
        let two = thread::spawn(leave(Arc::clone(&uses)));
        let claim = uses.claim();
        let told = one.join().unwrap() + two.join().unwrap();
        assert_eq!(told, usize::from(claim == Claim::InUse), "{claim:?}");
    });
}

/// Exactly one party learns that a retired resource is idle: who retires it, or who leaves last.
/// Catches: `retire` without `WATCHED`, and a `retire` that looks at the users before it sets the bits.
#[test]
fn a_retired_resource_is_given_up_exactly_once() {
    loom::model(|| {
        let uses = Arc::new(Uses::new());
        assert!(uses.enter());
        let user = thread::spawn({
            let uses = Arc::clone(&uses);
            move || usize::from(uses.leave(|| ()) == Left::Watched)
        });
        let late = thread::spawn({
            let uses = Arc::clone(&uses);
            move || match uses.enter() {
                true => usize::from(uses.leave(|| ()) == Left::Watched),
                false => 0,
            }
        });
        let here = usize::from(uses.retire());
        assert!(!uses.enter(), "nobody starts to use it after that");
        let told = here + user.join().unwrap() + late.join().unwrap();
        assert_eq!(told, 1);
    });
}

/// Only one is alone, and sees what the one before did. Catches: `Relaxed` in `enter_alone`, and a load and
/// a store in place of the exchange.
#[test]
fn one_at_a_time_is_alone() {
    loom::model(|| {
        let uses = Arc::new(Uses::new());
        let data = Arc::new(AtomicUsize::new(0));
        let work = {
            let (uses, data) = (Arc::clone(&uses), Arc::clone(&data));
            move || {
                if !uses.enter_alone() {
                    return 0;
                }
                // Not one step, so two at a time would lose an increment.
                data.store(data.load(Relaxed) + 1, Relaxed);
                uses.leave(|| ());
                1
            }
        };
        let other = thread::spawn(work.clone());
        let here = work();
        let there = other.join().unwrap();
        assert!(here + there >= 1);
        assert_eq!(data.load(Relaxed), here + there);
    });
}

/// Whoever gets a resource that was given back sees what its disposal did. Catches: `Relaxed` in `unclaim`.
#[test]
fn a_resource_that_is_given_back_is_as_its_disposal_left_it() {
    loom::model(|| {
        let uses = Arc::new(Uses::new());
        let data = Arc::new(AtomicUsize::new(0));
        assert_eq!(uses.claim(), Claim::Claimed);
        let collector = thread::spawn({
            let (uses, data) = (Arc::clone(&uses), Arc::clone(&data));
            move || {
                data.store(7, Relaxed);
                uses.unclaim();
            }
        });
        if uses.enter() {
            assert_eq!(data.load(Relaxed), 7);
        }
        collector.join().unwrap();
    });
}

/// Only one of two claims wins. Catches: a load and a store in place of the exchange.
#[test]
fn nothing_is_claimed_twice() {
    loom::model(|| {
        let uses = Arc::new(Uses::new());
        let other = thread::spawn({
            let uses = Arc::clone(&uses);
            move || uses.claim()
        });
        let here = uses.claim();
        let there = other.join().unwrap();
        assert!(matches!(
            (here, there),
            (Claim::Claimed, Claim::Taken) | (Claim::Taken, Claim::Claimed)
        ));
    });
}
