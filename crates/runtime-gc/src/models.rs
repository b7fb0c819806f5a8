//! Loom models of the use count: all interleavings of two or three threads.
//!
//! Each model states one property and the weakening of the code that makes it fail. Run them with
//! `cargo xtask loom`.

use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::use_count::{Claim, UseCount};

/// A claimed resource has no user and accepts none, and the claim sees the writes of the last user.
/// Catches: `Relaxed` in `swap` or `acquire`, and a claim that checks for users and sets its flag in two steps.
#[test]
fn claim_excludes_users() {
    loom::model(|| {
        let uses = Arc::new(UseCount::new());
        let data = Arc::new(AtomicUsize::new(0));
        let user = thread::spawn({
            let (uses, data) = (Arc::clone(&uses), Arc::clone(&data));
            move || {
                if uses.acquire() {
                    // Two writes, between which a claim would read the 1.
                    data.store(1, Relaxed);
                    data.store(2, Relaxed);
                    uses.release(|| ());
                }
            }
        });
        if uses.claim() == Claim::Claimed {
            assert_ne!(data.load(Relaxed), 1, "claimed while in use");
            let seen = data.load(Relaxed);
            user.join().unwrap();
            assert_eq!(data.load(Relaxed), seen, "used after the claim");
            assert!(!uses.acquire());
        } else {
            user.join().unwrap();
        }
    });
}

/// A claim that found a user is notified exactly once, by the last release, and exclusive users can follow.
/// Catches: setting `WATCHED` after the check for users, and a `release` that does not clear it.
#[test]
fn last_release_notifies_the_claim() {
    loom::model(|| {
        let uses = Arc::new(UseCount::new());
        assert!(uses.acquire() && uses.acquire());
        let release = |uses: Arc<UseCount>| move || usize::from(uses.release(|| ()));
        let one = thread::spawn(release(Arc::clone(&uses)));
        let two = thread::spawn(release(Arc::clone(&uses)));
        let claim = uses.claim();
        let notifications = one.join().unwrap() + two.join().unwrap();
        assert_eq!(
            notifications,
            usize::from(claim == Claim::InUse),
            "{claim:?}"
        );
        assert_eq!(uses.acquire_exclusive(), claim == Claim::InUse);
    });
}

/// Either `retire` or the last release finds a retired resource idle, never both.
/// Catches: `retire` without `WATCHED`, and a `retire` that checks for users before it sets the flags.
#[test]
fn retired_resource_becomes_idle_once() {
    loom::model(|| {
        let uses = Arc::new(UseCount::new());
        assert!(uses.acquire());
        let user = thread::spawn({
            let uses = Arc::clone(&uses);
            move || usize::from(uses.release(|| ()))
        });
        let late = thread::spawn({
            let uses = Arc::clone(&uses);
            move || usize::from(uses.acquire() && uses.release(|| ()))
        });
        let here = usize::from(uses.retire());
        assert!(!uses.acquire(), "acquired after it was retired");
        let notifications = here + user.join().unwrap() + late.join().unwrap();
        assert_eq!(notifications, 1);
    });
}

/// Exclusive users exclude each other, and each sees the writes of the previous one.
/// Catches: `Relaxed` in `acquire_exclusive`, and a load and a store instead of the exchange.
#[test]
fn exclusive_users_exclude_each_other() {
    loom::model(|| {
        let uses = Arc::new(UseCount::new());
        let data = Arc::new(AtomicUsize::new(0));
        let work = {
            let (uses, data) = (Arc::clone(&uses), Arc::clone(&data));
            move || {
                if !uses.acquire_exclusive() {
                    return 0;
                }
                // Not atomic, so two concurrent users would lose an increment.
                data.store(data.load(Relaxed) + 1, Relaxed);
                uses.release(|| ());
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

/// A user of an unclaimed resource sees the writes of the disposal. Catches: `Relaxed` in `unclaim`.
#[test]
fn unclaim_publishes_the_disposal() {
    loom::model(|| {
        let uses = Arc::new(UseCount::new());
        let data = Arc::new(AtomicUsize::new(0));
        assert_eq!(uses.claim(), Claim::Claimed);
        let collector = thread::spawn({
            let (uses, data) = (Arc::clone(&uses), Arc::clone(&data));
            move || {
                data.store(7, Relaxed);
                uses.unclaim();
            }
        });
        if uses.acquire() {
            assert_eq!(data.load(Relaxed), 7);
        }
        collector.join().unwrap();
    });
}

/// Only one of two claims succeeds. Catches: a load and a store instead of the exchange.
#[test]
fn only_one_claim_succeeds() {
    loom::model(|| {
        let uses = Arc::new(UseCount::new());
        let other = thread::spawn({
            let uses = Arc::clone(&uses);
            move || uses.claim()
        });
        let here = uses.claim();
        let there = other.join().unwrap();
        assert!(matches!(
            (here, there),
            (Claim::Claimed, Claim::AlreadyClaimed) | (Claim::AlreadyClaimed, Claim::Claimed)
        ));
    });
}
