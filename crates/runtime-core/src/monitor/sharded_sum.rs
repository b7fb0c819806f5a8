//! A sum to which most threads add without a locked instruction.

use std::cell::Cell;
use std::sync::LazyLock;

use crate::sys::{AtomicU64, Ordering};

/// The number of threads that have a part of each sum to themselves.
///
/// A bound on the memory of a sum: one line of the processor's cache per owner and one for all other threads. More threads
/// than this rarely run at once in a worker, and each one beyond adds as to an ordinary atomic.
pub(crate) const MAX_OWNERS: usize = 16;

/// A sum of whole amounts, in one part per owner and one that all other threads share.
///
/// A part has one writer at a time, so a load and a store take the place of a locked addition. That is a third of the
/// time, and threads that add to the same sum do not wait for each other.
#[derive(Default)]
pub(crate) struct ShardedSum {
    owned: [Part; MAX_OWNERS],
    shared: Part,
}

/// On its own cache line, so that owners do not invalidate each other's.
#[repr(align(64))]
#[derive(Default)]
struct Part(AtomicU64);

impl ShardedSum {
    /// Adds `n`. Wraps around at 2⁶⁴.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        match OWNER.get() {
            Some(owner) => self.add_as(owner, n),
            None => self.add_as(find_owner(), n),
        }
    }

    /// Adds `n` to the part of an owner, who must be the calling thread; an index from `MAX_OWNERS` on has no owner.
    #[inline]
    pub(crate) fn add_as(&self, owner: usize, n: u64) {
        // Relaxed: the sum is the only shared value, nothing else is published through it.
        match self.owned.get(owner) {
            Some(Part(part)) => {
                let sum = part.load(Ordering::Relaxed).wrapping_add(n);
                part.store(sum, Ordering::Relaxed);
            }
            None => {
                self.shared.0.fetch_add(n, Ordering::Relaxed);
            }
        }
    }

    /// Returns the current sum. Each part only grows, so a reader never observes a smaller sum than before.
    pub(crate) fn get(&self) -> u64 {
        let parts = self.owned.iter().chain([&self.shared]);
        let parts = parts.map(|part| part.0.load(Ordering::Relaxed));
        parts.fold(0, u64::wrapping_add)
    }
}

thread_local! {
    /// The owner's index of this thread, found at its first addition. Without a destructor, so that it is cheap to read.
    static OWNER: Cell<Option<usize>> = const { Cell::new(None) };
    static CLAIM: Claim = Claim(OWNERS.claim());
}

static OWNERS: LazyLock<Owners> = LazyLock::new(Owners::default);

/// Gives the index back when the thread ends.
struct Claim(usize);

impl Drop for Claim {
    fn drop(&mut self) {
        // Destructors that run later on this thread use the shared part.
        OWNER.set(Some(MAX_OWNERS));
        OWNERS.release(self.0);
    }
}

#[cold]
fn find_owner() -> usize {
    let owner = CLAIM.try_with(|claim| claim.0).unwrap_or(MAX_OWNERS);
    OWNER.set(Some(owner));
    owner
}

/// The indexes in use, as a set of bits.
#[derive(Default)]
pub(crate) struct Owners(AtomicU64);

impl Owners {
    /// Returns an index that no other thread has, or `MAX_OWNERS` if all are in use.
    pub(crate) fn claim(&self) -> usize {
        let free = |taken: u64| taken.trailing_ones() as usize;
        let take = |taken| (free(taken) < MAX_OWNERS).then(|| taken | 1 << free(taken));
        // Acquire pairs with `release`: the next owner of an index continues with the sums of the previous one.
        let before = (self.0).fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
        before.map_or(MAX_OWNERS, free)
    }

    pub(crate) fn release(&self, owner: usize) {
        if owner < MAX_OWNERS {
            self.0.fetch_and(!(1 << owner), Ordering::Release);
        }
    }
}
