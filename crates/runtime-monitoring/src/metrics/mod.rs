//! Counters and measures, kept in memory.

mod builder;
mod cache;
mod catalog;
mod labels;
#[cfg(feature = "prometheus")]
mod prometheus;
mod series;
mod snapshot;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use runtime_core::Monitor;
use runtime_core::monitor::{Counter, MonitorTags};
use runtime_ioext::log::Redactor;

pub use self::builder::MetricsBuilder;
use self::cache::Cache;
pub use self::catalog::{CATALOG, Kind, MetricDescriptor, Unit};
use self::labels::Labels;
#[cfg(feature = "prometheus")]
pub use self::prometheus::OPENMETRICS;
use self::series::Histogram;
pub use self::snapshot::{Distribution, Sample, Snapshot};
use crate::fields::redacted;

/// How many series there may be; then what comes with new labels is counted without.
const MAX_SERIES: usize = 10_000;

/// Counters and measures of a worker, kept in memory. Clones are the same.
///
/// A metric is named by the prefix of its monitor and its own name, joined by `.`. Tags do not make
/// metrics, except those that were [named as labels](MetricsBuilder::labels). A monitor keeps its counters and each
/// thread its distributions, so that nothing is hashed or locked after the first time.
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
    counters: Table<Counter>,
    histograms: Table<Histogram>,
    gauges: Mutex<BTreeMap<GaugeKey, f64>>,
    descriptions: HashMap<String, MetricMetadata>,
    redactor: Option<Redactor>,
    /// Since when is counted.
    start: Timestamp,
}

/// What is known of a metric beside its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricMetadata {
    /// What its values are.
    pub unit: Unit,
    /// What it tells.
    pub help: String,
}

type GaugeKey = (String, Vec<(String, String)>);

type Table<T> = RwLock<HashMap<Key, Arc<T>>>;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    name: String,
    labels: Labels,
}

thread_local! {
    static HISTOGRAMS: RefCell<Cache<Histogram>> = Cache::new();
}

impl Metrics {
    /// Makes an empty set without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up labels, buckets and descriptions.
    pub fn builder() -> MetricsBuilder {
        MetricsBuilder::default()
    }

    /// The values of this time.
    ///
    /// What is counted meanwhile may be in it or not.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counters: self.samples(&self.0.counters, Counter::get),
            distributions: self.samples(&self.0.histograms, Histogram::read),
            gauges: self.gauges(),
        }
    }

    /// Sets a value that goes up and down, such as how much memory is left.
    pub fn set_gauge(&self, name: &str, value: f64) {
        self.set_gauge_with(name, &[], value);
    }

    /// Sets one of several values that go up and down, which labels tell apart.
    ///
    /// Each combination of labels is a series that stays, so their values must be few.
    pub fn set_gauge_with(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let key = (name.to_owned(), labels.collect());
        self.0.gauges.lock().insert(key, value);
    }

    /// A counter to keep at hand, for code without a monitor; the name has its prefix in it.
    #[must_use]
    pub fn counter(&self, name: &'static str) -> Counter {
        self.counter_of(Monitor::null().scope(), name)
    }

    /// Since when is counted.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.0.start
    }

    /// What is known of a metric, for exports.
    #[must_use]
    pub fn description(&self, name: &str) -> MetricMetadata {
        let known = self.0.descriptions.get(name).cloned();
        known.unwrap_or_else(|| MetricMetadata {
            unit: Unit::None,
            help: "No description.".to_owned(),
        })
    }

    /// Takes secrets out when somebody looks, since they may be added after something was counted.
    fn clean(&self, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for value in labels.values_mut() {
            if let Cow::Owned(clean) = redacted(self.0.redactor.as_ref(), value) {
                *value = clean;
            }
        }
        labels
    }

    fn gauges(&self) -> Vec<Sample<f64>> {
        let gauges = self.0.gauges.lock();
        let sample = |((name, labels), value): (&GaugeKey, &f64)| Sample {
            name: name.clone(),
            labels: self.clean(labels.iter().cloned().collect()),
            value: *value,
        };
        gauges.iter().map(sample).collect()
    }

    fn samples<T, V>(&self, table: &Table<T>, read: impl Fn(&T) -> V) -> Vec<Sample<V>> {
        let mut series: Vec<_> = table.read().clone().into_iter().collect();
        series.sort_by(|(a, _), (b, _)| a.cmp(b));
        let sample = |(key, series): (Key, Arc<T>)| Sample {
            labels: self.clean(key.labels.to_map(&self.0.labels)),
            name: key.name,
            value: read(&series),
        };
        series.into_iter().map(sample).collect()
    }

    pub(crate) fn counter_of(&self, scope: &MonitorTags, name: &'static str) -> Counter {
        let found = self
            .0
            .find(&self.0.counters, scope, name, |_| Counter::new());
        Counter::clone(&found.1)
    }

    pub(crate) fn set_gauge_of(&self, scope: &MonitorTags, name: &str, value: f64) {
        self.set_gauge(&full_name(scope, name), value);
    }

    pub(crate) fn measure(&self, scope: &MonitorTags, name: &'static str, value: f64) {
        let inner = &*self.0;
        let find = || inner.find(&inner.histograms, scope, name, |name| inner.histogram(name));
        let record = |histogram: &Histogram| histogram.record(value);
        // Without a cache, a thread that ends its other thread-locals still measures.
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
        scope: &MonitorTags,
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
        let bounds = self.bounds.get(name).map(Vec::as_slice);
        let unit = self.descriptions.get(name);
        Histogram::new(bounds.unwrap_or_else(|| unit.map_or(Unit::Seconds, |it| it.unit).bounds()))
    }
}

fn full_name(scope: &MonitorTags, name: &str) -> String {
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
