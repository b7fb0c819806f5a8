//! The state of one resource in one word: how many use it, and what the collector wants of it.
//!
//! Users come and go without a lock. The collector claims a resource in the same step in which it sees
//! that nobody uses it, so nothing is disposed of while in use and nothing is handed out afterwards.

use crate::sys::{AtomicU64, Ordering};

/// Nobody may start to use it any more.
const RETIRED: u64 = 1 << 63;
/// The collector has it and will dispose of it.
const CLAIMED: u64 = 1 << 62;
/// The collector wants to hear when the last user leaves.
const WATCHED: u64 = 1 << 61;
const USERS: u64 = WATCHED - 1;

/// A count of users with three flags.
#[derive(Debug)]
pub(crate) struct Uses(AtomicU64);

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody used it; it is the caller's, who disposes of it.
    Claimed,
    /// Somebody uses it; whoever leaves last is told so by [`Left::Watched`].
    InUse,
    /// It was claimed before.
    Taken,
}

/// What a user left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// There are others, or nobody waits for it to be idle.
    Quietly,
    /// It is idle, and the collector waits to hear so.
    Watched,
}

impl Uses {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds a user unless the resource is on its way out.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                (word & (RETIRED | CLAIMED) == 0).then(|| word + 1)
            })
            .is_ok()
    }

    /// Adds a user if there is none and the resource is not on its way out.
    pub(crate) fn enter_alone(&self) -> bool {
        // A watched resource that is idle is not watched any more, so 0 is all there can be.
        self.0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Adds a user next to one that there is, which works on a retired resource as well.
    ///
    /// # Panics
    ///
    /// If there is no user.
    pub(crate) fn join(&self) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(before & USERS > 0, "a use was shared that there is not");
    }

    /// Takes a user away. `last` runs before it if no other user is seen, on one thread at a time.
    ///
    /// # Panics
    ///
    /// If there is no user.
    #[inline]
    pub(crate) fn leave(&self, last: impl FnOnce()) -> Left {
        // Acquire takes what the `last` of an earlier user did.
        let mut word = self.0.load(Ordering::Acquire);
        let mut last = Some(last);
        loop {
            assert!(
                word & USERS > 0,
                "released a resource that was not acquired"
            );
            let idle = word & USERS == 1;
            if idle && let Some(last) = last.take() {
                last();
            }
            let next = if idle {
                (word - 1) & !WATCHED
            } else {
                word - 1
            };
            match self.swap(word, next) {
                Ok(_) if idle && word & WATCHED != 0 => return Left::Watched,
                Ok(_) => return Left::Quietly,
                Err(seen) => word = seen,
            }
        }
    }

    /// Claims it for disposal if nobody uses it, else asks to be told when that is so.
    pub(crate) fn claim(&self) -> Claim {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (next, claim) = match word {
                _ if word & CLAIMED != 0 => return Claim::Taken,
                _ if word & USERS > 0 => (word | WATCHED, Claim::InUse),
                _ => (word | CLAIMED, Claim::Claimed),
            };
            match self.swap(word, next) {
                Ok(_) => return claim,
                Err(seen) => word = seen,
            }
        }
    }

    /// Gives a claimed resource back to whoever wants to use it.
    pub(crate) fn unclaim(&self) {
        self.0.fetch_and(!CLAIMED, Ordering::Release);
    }

    /// Lets nobody start to use it any more. Tells whether it is idle now; if not, it is watched.
    pub(crate) fn retire(&self) -> bool {
        self.0.fetch_or(RETIRED | WATCHED, Ordering::AcqRel) & USERS == 0
    }

    pub(crate) fn users(&self) -> u64 {
        self.0.load(Ordering::Acquire) & USERS
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.0.load(Ordering::Acquire) & (RETIRED | CLAIMED) != 0
    }

    /// Release gives what a user wrote to the claim that sees it gone; Acquire takes it.
    fn swap(&self, word: u64, next: u64) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
    }
}
