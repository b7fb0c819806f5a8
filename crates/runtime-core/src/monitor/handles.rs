//! Counter and histogram handles, and the list in which a set of tags caches them.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::sharded_sum::ShardedSum;

/// A sum that only grows. Clones share the value.
///
/// Occupies about 1.1 KiB: the first 16 threads that count have a part of each counter to themselves, to which they add
/// without waiting for others. All other threads share one part.
#[derive(Clone, Default)]
pub struct Counter(Arc<CounterCell>);

#[derive(Default)]
struct CounterCell {
    /// The sum of the whole amounts.
    whole: ShardedSum,
    /// The sum of the other amounts, as the bits of an `f64`.
    ///
    /// Separate from `whole`, so that whole amounts stay exact and cheap. Nothing is carried over to
    /// `whole`: each part only grows, so a reader that loads both never observes a smaller sum than before. Exporters
    /// would report a smaller sum as a restart of the worker.
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
        self.0.whole.add(n);
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
        let whole = self.0.whole.get();
        whole.saturating_add(self.fractional() as u64)
    }

    /// Returns the current sum. Above 2⁵³, it is rounded to a multiple of a power of two; [`get`](Self::get) is not.
    #[must_use]
    pub fn get_f64(&self) -> f64 {
        self.0.whole.get() as f64 + self.fractional()
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

/// The handles used with one set of tags, found by the address of the metric's name.
///
/// Handles are only added and each place is set once, so a reader needs no lock. The first handle is stored inline: most
/// sets of tags use one metric of a kind, which then costs neither an allocation nor a pointer to follow. The others are
/// in a hash table: a list would make the last of 64 metrics slow, and a `HashMap` would need a lock and hash the text.
///
/// A table that is a quarter full is followed by a larger one, which has the handles of the table before as well. So a search
/// looks at one table, and mostly at one place.
pub(super) struct HandleCache<T> {
    first: OnceLock<CachedHandle<T>>,
    tables: [OnceLock<HandleTable<T>>; TABLE_SIZES.len()],
    /// The index of the table that is searched.
    current: AtomicUsize,
    /// The number of calls that tried to add a handle to the tables.
    added: AtomicUsize,
}

/// The number of places of each table, a power of two. The last one is so large that dozens of metrics hardly compete.
const TABLE_SIZES: [usize; 3] = [16, 64, 512];

/// The number of places that a name may use. A metric without a place is looked up in the sink at every call.
const CHOICES: usize = 8;

type HandleTable<T> = Box<[OnceLock<CachedHandle<T>>]>;

#[derive(Clone)]
struct CachedHandle<T> {
    name: &'static str,
    handle: T,
}

impl<T: Clone> HandleCache<T> {
    /// Returns the handle of a metric.
    ///
    /// Compares the addresses of the names, not their text. Equal text at another address misses the cache and then
    /// receives the same metric from the sink.
    #[inline]
    pub(super) fn get(&self, name: &'static str) -> Option<&T> {
        let first = self.first.get()?;
        if ptr::eq(first.name, name) {
            return Some(&first.handle);
        }
        // Relaxed: the table has its own synchronization, and is not there yet for a reader that is early.
        let index = self.current.load(Ordering::Relaxed);
        for place in places(self.tables[index].get()?, name) {
            // Places are taken in this order, so a free one ends the search.
            let entry = place.get()?;
            if ptr::eq(entry.name, name) {
                return Some(&entry.handle);
            }
        }
        None
    }

    /// Adds a handle unless all places for its name are taken.
    pub(super) fn insert(&self, name: &'static str, handle: T) {
        let Err(entry) = self.first.set(CachedHandle { name, handle }) else {
            return;
        };
        let added = self.added.fetch_add(1, Ordering::Relaxed) + 1;
        let mut sizes = TABLE_SIZES.iter();
        let index = sizes.position(|size| added <= size / 4);
        let index = index.unwrap_or(TABLE_SIZES.len() - 1);
        let table = self.tables[index].get_or_init(|| self.larger_table(TABLE_SIZES[index]));
        add(table, entry);
        self.current.fetch_max(index, Ordering::Relaxed);
    }

    /// Returns a table with the handles of the current one. A handle that another thread adds to that one at the same time is
    /// looked up in the sink once more.
    fn larger_table(&self, size: usize) -> HandleTable<T> {
        let table = (0..size).map(|_| OnceLock::new()).collect();
        let current = self.tables[self.current.load(Ordering::Relaxed)].get();
        for entry in current.into_iter().flatten().filter_map(OnceLock::get) {
            add(&table, entry.clone());
        }
        table
    }
}

/// Adds a handle in the first free place of its name, if there is one.
fn add<T>(table: &HandleTable<T>, mut entry: CachedHandle<T>) {
    // Two threads that miss the same name both add it. The second copy is never found and does no harm.
    for place in places(table, entry.name) {
        match place.set(entry) {
            Ok(()) => return,
            Err(rejected) => entry = rejected,
        }
    }
}

/// Returns the places that a name may use in a table, in the order in which they are taken.
#[inline]
fn places<'a, T>(
    table: &'a HandleTable<T>,
    name: &'static str,
) -> impl Iterator<Item = &'a OnceLock<CachedHandle<T>>> {
    // Fibonacci hashing: the upper bits of the product depend on all bits of the address, whose low ones are regular.
    let hash = (name.as_ptr().addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let start = (hash >> 32) as usize;
    (0..CHOICES).map(move |offset| &table[(start + offset) & (table.len() - 1)])
}

impl<T> Default for HandleCache<T> {
    fn default() -> Self {
        Self {
            first: OnceLock::new(),
            tables: Default::default(),
            current: AtomicUsize::new(0),
            added: AtomicUsize::new(0),
        }
    }
}
