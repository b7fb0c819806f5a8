//! Counters, and how a scope finds those that it used again.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// How many counters a scope keeps. Others are asked for each time.
const MOST: usize = 8;

/// A sum that only grows. Clones are the same.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Makes one at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}

/// The counters that were used in a scope, in the order of their first use.
///
/// A list that only grows can be read without a lock, and the first is where its scope is.
#[derive(Default)]
pub(super) struct Counters {
    first: OnceLock<Entry>,
}

struct Entry {
    name: &'static str,
    counter: Counter,
    next: OnceLock<Box<Entry>>,
}

impl Counters {
    /// The counter of a name, which its address tells: the same text elsewhere is another name of the same counter.
    #[inline]
    pub(super) fn find(&self, name: &'static str) -> Option<&Counter> {
        let mut next = self.first.get();
        while let Some(entry) = next {
            if ptr::eq(entry.name, name) {
                return Some(&entry.counter);
            }
            next = entry.next.get().map(|entry| &**entry);
        }
        None
    }

    /// Keeps a counter, if there is room.
    pub(super) fn keep(&self, name: &'static str, counter: Counter) {
        let made = Entry {
            name,
            counter,
            next: OnceLock::new(),
        };
        let Err(made) = self.first.set(made) else {
            return;
        };
        let (mut made, mut last) = (Box::new(made), self.first.get());
        for _ in 1..MOST {
            let Some(entry) = last else { return };
            match entry.next.set(made) {
                Ok(()) => return,
                Err(back) => made = back,
            }
            last = entry.next.get().map(|entry| &**entry);
        }
    }
}
