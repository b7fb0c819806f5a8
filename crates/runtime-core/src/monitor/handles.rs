//! Counter and histogram handles, and the list in which a set of tags caches them.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The number of handles of each kind cached per set of tags. Further metrics are looked up in the sink at every call.
const MAX_CACHED: usize = 8;

/// A sum that only grows. Clones share the value.
#[derive(Clone, Default)]
pub struct Counter(Arc<CounterCell>);

#[derive(Default)]
struct CounterCell {
    /// The sum of the whole amounts.
    whole: AtomicU64,
    /// The sum of the other amounts, as the bits of an `f64`.
    ///
    /// Kept apart, so that whole amounts stay exact and cost one atomic addition. Nothing is carried over to `whole`: each
    /// part only grows, so a reader that loads both never observes a smaller sum than before, which exporters would report
    /// as a restart of the worker.
    fractional: AtomicU64,
}

impl Counter {
    /// Creates a counter with the value 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        // Relaxed: the sum is the only shared value, nothing else is published through it.
        self.0.whole.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds `n`, which may have a fraction. Ignores amounts that are negative, infinite or NaN.
    pub fn add_f64(&self, n: f64) {
        if !(n.is_finite() && n > 0.0) {
            return;
        }
        let add = |bits| Some((f64::from_bits(bits) + n).min(f64::MAX).to_bits());
        // `Ok`, since `add` never returns `None`.
        let _ = (self.0.fractional).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Returns the current sum, rounded down.
    #[must_use]
    pub fn get(&self) -> u64 {
        let whole = self.0.whole.load(Ordering::Relaxed);
        whole.saturating_add(self.fractional() as u64)
    }

    /// Returns the current sum. Above 2⁵³, it is rounded to a multiple of a power of two; [`get`](Self::get) is not.
    #[must_use]
    pub fn get_f64(&self) -> f64 {
        self.0.whole.load(Ordering::Relaxed) as f64 + self.fractional()
    }

    fn fractional(&self) -> f64 {
        f64::from_bits(self.0.fractional.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.get_f64()).finish()
    }
}

/// Stores the values of a distribution. Implemented by sinks.
pub trait ValueRecorder: Send + Sync {
    /// Records a value. Called from any thread; must not block.
    fn record(&self, value: f64);
}

/// A distribution of values. Clones record into the same distribution.
#[derive(Clone)]
pub struct Histogram(Option<Arc<dyn ValueRecorder>>);

impl Histogram {
    /// Creates a handle that records into `recorder`.
    pub fn new(recorder: Arc<dyn ValueRecorder>) -> Self {
        Self(Some(recorder))
    }

    /// Creates a handle that discards all values.
    #[must_use]
    pub fn null() -> Self {
        Self(None)
    }

    /// Records a value.
    pub fn record(&self, value: f64) {
        self.record_all([value]);
    }

    /// Records several values.
    pub fn record_all(&self, values: impl IntoIterator<Item = f64>) {
        if let Some(recorder) = &self.0 {
            values.into_iter().for_each(|value| recorder.record(value));
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").finish_non_exhaustive()
    }
}

/// The handles used with one set of tags, in the order of their first use.
///
/// The list only grows and each link is set once, so a reader needs no lock. The first entry is stored inline: most sets
/// of tags use one metric of a kind, which then costs neither an allocation nor a pointer to follow. A hash map was
/// rejected because hashing the name costs more than the whole search among at most eight entries.
pub(super) struct HandleCache<T> {
    first: OnceLock<CachedHandle<T>>,
}

struct CachedHandle<T> {
    name: &'static str,
    handle: T,
    next: OnceLock<Box<CachedHandle<T>>>,
}

impl<T> HandleCache<T> {
    /// Returns the handle of a metric.
    ///
    /// Compares the addresses of the names, not their text. Equal text at another address misses the cache and then
    /// receives the same metric from the sink.
    #[inline]
    pub(super) fn get(&self, name: &'static str) -> Option<&T> {
        let mut next = self.first.get();
        while let Some(entry) = next {
            if ptr::eq(entry.name, name) {
                return Some(&entry.handle);
            }
            next = entry.next.get().map(|entry| &**entry);
        }
        None
    }

    /// Appends a handle unless the list is full.
    pub(super) fn insert(&self, name: &'static str, handle: T) {
        let entry = CachedHandle {
            name,
            handle,
            next: OnceLock::new(),
        };
        let Err(entry) = self.first.set(entry) else {
            return;
        };
        // Two threads that miss the same name both append it. The second copy is never found and does no harm.
        let (mut entry, mut last) = (Box::new(entry), self.first.get());
        for _ in 1..MAX_CACHED {
            let Some(tail) = last else { return };
            match tail.next.set(entry) {
                Ok(()) => return,
                Err(rejected) => entry = rejected,
            }
            last = tail.next.get().map(|entry| &**entry);
        }
    }
}

impl<T> Default for HandleCache<T> {
    fn default() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }
}
