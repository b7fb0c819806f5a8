//! Counters and measures, kept in memory.

mod cache;
mod labels;
#[cfg(feature = "prometheus")]
mod prometheus;
mod series;
mod snapshot;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use runtime_core::monitor::Scope;

use self::cache::Cache;
use self::labels::Labels;
#[cfg(feature = "prometheus")]
pub use self::prometheus::OPENMETRICS;
use self::series::Histogram;
pub use self::snapshot::{Distribution, Sample, Snapshot};

/// Upper bounds of buckets for times in seconds, from a millisecond to two hours.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
];

/// How many series there may be; then what comes with new labels is counted without.
const MAX_SERIES: usize = 10_000;

/// Counters and measures of a worker, kept in memory. Clones are the same.
///
/// A metric is named by the prefix of its monitor and its own name, joined by `.`. Tags do not make
/// metrics, except those that were [named as labels](MetricsBuilder::labels). A count costs about as much
/// as one on a counter that is at hand: each thread remembers where its counters are.
///
/// # Example
///
/// ```
/// use runtime_monitoring::{LoggingMonitor, Metrics};
///
/// let metrics = Metrics::new();
/// let monitor = LoggingMonitor::new().with_metrics(metrics.clone()).into_monitor();
/// let fetch = monitor.with_prefix("fetch").with_tag("taskId", "RmzTkg-8Qj614ea9fI9Jmg");
/// fetch.count("retries", 2);
/// fetch.measure("seconds", 0.3);
///
/// let snapshot = metrics.snapshot();
/// assert_eq!(snapshot.counter("fetch.retries"), 2);
/// assert_eq!(snapshot.distribution("fetch.seconds").unwrap().max, 0.3);
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    /// Tells the metrics of this process apart in the threads' caches.
    number: u64,
    labels: Vec<String>,
    bounds: HashMap<String, Vec<f64>>,
    counters: Table<AtomicU64>,
    histograms: Table<Histogram>,
    gauges: Mutex<BTreeMap<String, f64>>,
    #[cfg_attr(
        not(feature = "prometheus"),
        expect(dead_code, reason = "only the text for Prometheus shows it")
    )]
    help: HashMap<String, String>,
}

type Table<T> = RwLock<HashMap<Key, Arc<T>>>;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    name: String,
    labels: Labels,
}

thread_local! {
    static COUNTERS: RefCell<Cache<AtomicU64>> = Cache::new();
    static HISTOGRAMS: RefCell<Cache<Histogram>> = Cache::new();
}

impl Metrics {
    /// Makes an empty set without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up labels and buckets.
    pub fn builder() -> MetricsBuilder {
        MetricsBuilder::default()
    }

    /// The values of this time.
    ///
    /// What is counted meanwhile may be in it or not.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counters: self.samples(&self.0.counters, |counter| counter.load(Ordering::Relaxed)),
            distributions: self.samples(&self.0.histograms, Histogram::read),
            gauges: self.0.gauges.lock().clone(),
        }
    }

    /// Sets a value that goes up and down, such as how many tasks run.
    pub fn set_gauge(&self, name: &str, value: f64) {
        let mut gauges = self.0.gauges.lock();
        match gauges.get_mut(name) {
            Some(gauge) => *gauge = value,
            None => drop(gauges.insert(name.to_owned(), value)),
        }
    }

    fn samples<T, V>(&self, table: &Table<T>, read: impl Fn(&T) -> V) -> Vec<Sample<V>> {
        let mut series: Vec<_> = table.read().clone().into_iter().collect();
        series.sort_by(|(a, _), (b, _)| a.cmp(b));
        let sample = |(key, series): (Key, Arc<T>)| Sample {
            labels: key.labels.to_map(&self.0.labels),
            name: key.name,
            value: read(&series),
        };
        series.into_iter().map(sample).collect()
    }

    pub(crate) fn count(&self, scope: &Scope, name: &'static str, n: u64) {
        let inner = &*self.0;
        let find = || inner.find(&inner.counters, scope, name, |_| AtomicU64::new(0));
        let add = |counter: &AtomicU64| {
            counter.fetch_add(n, Ordering::Relaxed);
        };
        // Without a cache, a thread that ends its other thread-locals still counts.
        let cached = COUNTERS.try_with(|cache| {
            let mut cache = cache.borrow_mut();
            cache.with(inner.number, &inner.labels, (scope, name), find, add);
        });
        if cached.is_err() {
            add(&find().1);
        }
    }

    pub(crate) fn measure(&self, scope: &Scope, name: &'static str, value: f64) {
        let inner = &*self.0;
        let find = || inner.find(&inner.histograms, scope, name, |name| inner.histogram(name));
        let record = |histogram: &Histogram| histogram.record(value);
        let cached = HISTOGRAMS.try_with(|cache| {
            let mut cache = cache.borrow_mut();
            cache.with(inner.number, &inner.labels, (scope, name), find, record);
        });
        if cached.is_err() {
            record(&find().1);
        }
    }
}

impl Inner {
    /// Finds a series or makes it.
    fn find<T>(
        &self,
        table: &Table<T>,
        scope: &Scope,
        name: &str,
        make: impl FnOnce(&str) -> T,
    ) -> (Labels, Arc<T>) {
        let labels = Labels::of(&self.labels, scope);
        let mut key = Key {
            name: full_name(scope, name),
            labels: labels.clone(),
        };
        if let Some(series) = table.read().get(&key) {
            return (labels, Arc::clone(series));
        }
        let made = Arc::new(make(&key.name));
        let mut table = table.write();
        if table.len() >= MAX_SERIES {
            key.labels = Labels::default();
        }
        (labels, Arc::clone(table.entry(key).or_insert(made)))
    }

    fn histogram(&self, name: &str) -> Histogram {
        Histogram::new(self.bounds.get(name).map_or(SECONDS, Vec::as_slice))
    }
}

fn full_name(scope: &Scope, name: &str) -> String {
    match scope.prefix() {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("labels", &self.0.labels)
            .field("counters", &self.0.counters.read().len())
            .field("distributions", &self.0.histograms.read().len())
            .finish_non_exhaustive()
    }
}

/// Sets up [`Metrics`].
#[derive(Clone, Debug, Default)]
#[must_use = "call `build` to have metrics"]
pub struct MetricsBuilder {
    labels: Vec<String>,
    bounds: HashMap<String, Vec<f64>>,
    help: HashMap<String, String>,
}

impl MetricsBuilder {
    /// Makes labels of the tags with these names.
    ///
    /// Every combination of their values is a series of its own. So name tags that have few values, such
    /// as the kind of a cache, and none that name a task.
    pub fn labels<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.labels.extend(names.into_iter().map(Into::into));
        self.labels.sort();
        self.labels.dedup();
        self
    }

    /// Sets the upper bounds of the buckets of a measure, which has its prefix in its name.
    ///
    /// By default they suit times in seconds, from a millisecond to two hours.
    pub fn buckets(
        mut self,
        name: impl Into<String>,
        bounds: impl IntoIterator<Item = f64>,
    ) -> Self {
        let mut bounds: Vec<_> = bounds
            .into_iter()
            .filter(|bound| bound.is_finite())
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        self.bounds.insert(name.into(), bounds);
        self
    }

    /// Says what a metric is, for those who see it in a monitoring system.
    pub fn describe(mut self, name: impl Into<String>, help: impl Into<String>) -> Self {
        self.help.insert(name.into(), help.into());
        self
    }

    /// Makes an empty set.
    #[must_use]
    pub fn build(self) -> Metrics {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Metrics(Arc::new(Inner {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            labels: self.labels,
            bounds: self.bounds,
            counters: Table::default(),
            histograms: Table::default(),
            gauges: Mutex::default(),
            help: self.help,
        }))
    }
}
