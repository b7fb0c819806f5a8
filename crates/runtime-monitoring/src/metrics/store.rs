//! The in-memory store of all metrics.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use runtime_core::monitor::{Counter, Histogram, MonitorTags};

use super::builder::MetricsBuilder;
use super::catalog::{
    CATALOG, MetricDescriptor, MetricKind, MetricMetadata, RESOLUTION_LABEL, RESOLUTIONS, Unit,
};
use super::histogram::AtomicHistogram;
use super::series::{LabelValues, SeriesKey, SeriesTable};
use super::snapshot::{CounterValue, Sample, Snapshot};
use crate::fields::redacted;

/// Counters, distributions and gauges of a worker, kept in memory. Clones share the values.
///
/// A metric is named by the prefix of its monitor and its own name, joined by `.`. Tags do not create separate series,
/// except those [configured as labels](MetricsBuilder::labels). Monitors cache their counters and distributions, so only
/// the first use of a metric takes a lock.
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
pub struct Metrics(Arc<MetricsStore>);

struct MetricsStore {
    config: MetricsBuilder,
    counters: SeriesTable<Counter>,
    histograms: SeriesTable<Arc<AtomicHistogram>>,
    gauges: Mutex<BTreeMap<GaugeKey, f64>>,
    start: Timestamp,
}

/// The name of a gauge and its labels.
type GaugeKey = (String, Vec<(String, String)>);

impl MetricsBuilder {
    /// Creates an empty store.
    #[must_use]
    pub fn build(mut self) -> Metrics {
        let mut metadata: HashMap<_, _> = CATALOG.iter().map(MetricDescriptor::entry).collect();
        // Last, so that an application can override the catalog.
        metadata.extend(self.metadata);
        self.metadata = metadata;
        let has_zero_counters = self.has_zero_counters;
        let metrics = Metrics(Arc::new(MetricsStore {
            config: self,
            counters: SeriesTable::default(),
            histograms: SeriesTable::default(),
            gauges: Mutex::default(),
            start: Timestamp::now(),
        }));
        if has_zero_counters {
            metrics.create_counters();
        }
        metrics
    }
}

impl Metrics {
    /// Creates an empty store without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder that configures labels, buckets and metadata.
    pub fn builder() -> MetricsBuilder {
        MetricsBuilder::default()
    }

    /// Returns the current values. Updates made during the call may or may not be included.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counters: self.samples(&self.0.counters, CounterValue::read),
            distributions: self.samples(&self.0.histograms, |histogram| histogram.read()),
            gauges: self.gauges(),
        }
    }

    /// Sets a gauge, such as the free memory.
    pub fn set_gauge(&self, name: &str, value: f64) {
        self.set_gauge_with(name, &[], value);
    }

    /// Sets a gauge with labels.
    ///
    /// Each combination of label values is a series that is never removed, so the number of values must be small.
    pub fn set_gauge_with(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let key = (name.to_owned(), labels.collect());
        // A lock, unlike counters: gauges are set every few seconds, and never in a loop over data.
        self.0.gauges.lock().insert(key, value);
    }

    /// Returns a counter without labels, for code without a monitor. `name` includes the prefix.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        let key = SeriesKey {
            name: name.to_owned(),
            labels: LabelValues::default(),
        };
        self.0.counters.get_or_create(key, |_| Counter::new())
    }

    /// Returns the time at which counting started.
    #[must_use]
    pub fn start_time(&self) -> Timestamp {
        self.0.start
    }

    /// Returns the unit and the help text of a metric, for exporters.
    #[must_use]
    pub fn metadata(&self, name: &str) -> MetricMetadata {
        let known = self.0.config.metadata.get(name).cloned();
        known.unwrap_or_else(|| MetricMetadata {
            unit: Unit::None,
            help: "No description.".to_owned(),
        })
    }

    fn create_counters(&self) {
        let counters = CATALOG.iter().filter(|it| it.kind == MetricKind::Counter);
        for MetricDescriptor { name, .. } in counters {
            let resolutions: &[_] = if *name == "tasks-resolved" {
                &RESOLUTIONS.map(Some)
            } else {
                &[None]
            };
            for resolution in resolutions {
                let label = |name: &str| resolution.filter(|_| name == RESOLUTION_LABEL);
                let key = SeriesKey {
                    name: (*name).to_owned(),
                    labels: LabelValues::new(&self.0.config.labels, label),
                };
                self.0.counters.get_or_create(key, |_| Counter::new());
            }
        }
    }

    pub(crate) fn counter_of(&self, tags: &MonitorTags, name: &str) -> Counter {
        let key = self.key(tags, name);
        self.0.counters.get_or_create(key, |_| Counter::new())
    }

    pub(crate) fn histogram_of(&self, tags: &MonitorTags, name: &str) -> Histogram {
        let create = |name: &str| Arc::new(AtomicHistogram::new(self.0.bounds(name)));
        let key = self.key(tags, name);
        Histogram::new(self.0.histograms.get_or_create(key, create))
    }

    pub(crate) fn set_gauge_of(&self, tags: &MonitorTags, name: &str, value: f64) {
        self.set_gauge(&full_name(tags, name), value);
    }

    fn key(&self, tags: &MonitorTags, name: &str) -> SeriesKey {
        SeriesKey {
            name: full_name(tags, name),
            labels: LabelValues::new(&self.0.config.labels, |name| tags.get(name)),
        }
    }

    fn samples<T: Clone, V>(
        &self,
        table: &SeriesTable<T>,
        read: impl Fn(&T) -> V,
    ) -> Vec<Sample<V>> {
        let series = table.sorted().into_iter();
        let sample = |(key, series): (SeriesKey, T)| Sample {
            labels: self.redact(key.labels.to_map(&self.0.config.labels)),
            name: key.name,
            value: read(&series),
        };
        series.map(sample).collect()
    }

    fn gauges(&self) -> Vec<Sample<f64>> {
        let gauges = self.0.gauges.lock();
        let sample = |((name, labels), value): (&GaugeKey, &f64)| Sample {
            name: name.clone(),
            labels: self.redact(labels.iter().cloned().collect()),
            value: *value,
        };
        gauges.iter().map(sample).collect()
    }

    /// Redacts label values at export rather than at first use: a secret may be added to the redactor after a label was
    /// recorded.
    fn redact(&self, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for value in labels.values_mut() {
            if let Cow::Owned(clean) = redacted(self.0.config.redactor.as_ref(), value) {
                *value = clean;
            }
        }
        labels
    }
}

impl MetricsStore {
    /// Returns the bucket bounds of a metric: the configured ones, those of its unit, or those for seconds.
    fn bounds(&self, name: &str) -> &[f64] {
        if let Some(bounds) = self.config.bounds.get(name) {
            return bounds;
        }
        let metadata = self.config.metadata.get(name);
        // Most distributions without metadata are recorded by `measure_duration` and its relatives.
        metadata.map_or(Unit::Seconds, |it| it.unit).bounds()
    }
}

fn full_name(tags: &MonitorTags, name: &str) -> String {
    match tags.prefix() {
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
            .field("labels", &self.0.config.labels)
            .field("counters", &self.0.counters.len())
            .field("distributions", &self.0.histograms.len())
            .finish_non_exhaustive()
    }
}
