//! The use count of a resource: the number of users and the collector's flags in one atomic word.
//!
//! Users acquire and release without a lock. Because users and flags share a word, the collector checks for
//! users and claims the resource in a single compare-and-swap. With two words, a user could acquire the
//! resource between the check and the claim. The models in `models.rs` cover each ordering.

use crate::sys::{AtomicU64, Ordering};

/// New users are refused.
const RETIRED: u64 = 1 << 63;
/// The collector owns the resource and disposes of it.
const CLAIMED: u64 = 1 << 62;
/// The collector must be notified when the last user releases the resource.
const WATCHED: u64 = 1 << 61;
/// The remaining bits count users. The count cannot overflow: each user occupies memory.
const USERS: u64 = WATCHED - 1;

/// A count of users with three flags.
#[derive(Debug)]
pub(crate) struct UseCount(AtomicU64);

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The resource was idle; the caller now disposes of it.
    Claimed,
    /// The resource has users. [`UseCount::release`] returns `true` for the last of them.
    InUse,
    /// An earlier call claimed it.
    AlreadyClaimed,
}

impl UseCount {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds a user unless the resource is retired or claimed.
    #[inline]
    pub(crate) fn acquire(&self) -> bool {
        // Acquire: the user sees the writes of a disposal that was given up by `unclaim`.
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                (word & (RETIRED | CLAIMED) == 0).then(|| word + 1)
            })
            .is_ok()
    }

    /// Adds the only user, unless there is one or the resource is retired or claimed.
    pub(crate) fn acquire_exclusive(&self) -> bool {
        // The last `release` clears `WATCHED`, so an idle resource that can be acquired is exactly 0.
        self.0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Adds a user to a resource that has one, even if it was retired meanwhile.
    ///
    /// # Panics
    ///
    /// If the resource has no users.
    pub(crate) fn share(&self) {
        // Relaxed: the existing user already synchronizes with the previous ones, as in `Arc::clone`.
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(before & USERS > 0, "shared a resource that is not in use");
    }

    /// Removes a user. Returns whether the collector must be notified that the resource is idle.
    ///
    /// If there is no other user, `before_idle` runs first, on one thread at a time.
    ///
    /// # Panics
    ///
    /// If the resource has no users.
    #[inline]
    pub(crate) fn release(&self, before_idle: impl FnOnce()) -> bool {
        // Acquire: `before_idle` sees the writes of the previous call.
        let mut word = self.0.load(Ordering::Acquire);
        let mut before_idle = Some(before_idle);
        loop {
            assert!(
                word & USERS > 0,
                "released a resource that was not acquired"
            );
            let becomes_idle = word & USERS == 1;
            // Before the swap: afterwards, a claim may already read the time of last use. If the swap fails
            // because a user joined, running it was harmless, and it does not run again.
            if becomes_idle && let Some(before_idle) = before_idle.take() {
                before_idle();
            }
            // Clearing `WATCHED` in the same step notifies exactly once.
            let next = if becomes_idle {
                (word - 1) & !WATCHED
            } else {
                word - 1
            };
            match self.swap(word, next) {
                Ok(_) => return becomes_idle && word & WATCHED != 0,
                Err(current) => word = current,
            }
        }
    }

    /// Claims the resource for disposal if it is idle. Otherwise, the collector is notified of its last
    /// release.
    pub(crate) fn claim(&self) -> Claim {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (next, claim) = match word {
                _ if word & CLAIMED != 0 => return Claim::AlreadyClaimed,
                // The flag and the check for users are one step, or the last release could be missed.
                _ if word & USERS > 0 => (word | WATCHED, Claim::InUse),
                _ => (word | CLAIMED, Claim::Claimed),
            };
            match self.swap(word, next) {
                Ok(_) => return claim,
                Err(current) => word = current,
            }
        }
    }

    /// Reverts a claim, so that the resource accepts users again.
    pub(crate) fn unclaim(&self) {
        // Release pairs with `acquire`: the next user sees the changes that the disposal made
        // before it gave up.
        self.0.fetch_and(!CLAIMED, Ordering::Release);
    }

    /// Refuses new users. Returns whether the resource is idle now. If it is not, the collector is notified
    /// of its last release.
    pub(crate) fn retire(&self) -> bool {
        // `WATCHED` in the same step: between two steps, the last user could leave without a
        // notification. Acquire: if the resource is idle, its disposal sees the writes of the last
        // user.
        self.0.fetch_or(RETIRED | WATCHED, Ordering::AcqRel) & USERS == 0
    }

    pub(crate) fn users(&self) -> u64 {
        self.0.load(Ordering::Acquire) & USERS
    }

    // A claim counts as well: its disposal has begun or is about to, and no new user is admitted.
    pub(crate) fn is_retired(&self) -> bool {
        self.0.load(Ordering::Acquire) & (RETIRED | CLAIMED) != 0
    }

    /// Release publishes the writes of a user to the claim that finds the resource idle, which acquires them.
    #[inline]
    fn swap(&self, word: u64, next: u64) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
    }
}
