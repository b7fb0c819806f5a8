//! Sets up metrics.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use runtime_ioext::log::Redactor;

use super::{CATALOG, Inner, MetricDescriptor, MetricMetadata, Metrics, Table, Unit};

/// Sets up [`Metrics`].
#[derive(Clone, Debug, Default)]
#[must_use = "call `build` to have metrics"]
pub struct MetricsBuilder {
    labels: Vec<String>,
    bounds: HashMap<String, Vec<f64>>,
    descriptions: HashMap<String, MetricMetadata>,
    redactor: Option<Redactor>,
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
    /// By default they suit the unit of its [description](Unit), and times in seconds without one.
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

    /// Says what a metric is and in what unit, for those who see it in a monitoring system.
    ///
    /// The metrics of this workspace are [described](CATALOG) already.
    pub fn describe(
        mut self,
        name: impl Into<String>,
        unit: Unit,
        help: impl Into<String>,
    ) -> Self {
        let help = help.into();
        let description = MetricMetadata { unit, help };
        self.descriptions.insert(name.into(), description);
        self
    }

    /// Takes the secrets out of the values of labels.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Makes an empty set.
    #[must_use]
    pub fn build(self) -> Metrics {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut descriptions: HashMap<_, _> = CATALOG.iter().map(MetricDescriptor::entry).collect();
        descriptions.extend(self.descriptions);
        Metrics(Arc::new(Inner {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            labels: self.labels,
            bounds: self.bounds,
            counters: Table::default(),
            histograms: Table::default(),
            gauges: Mutex::default(),
            descriptions,
            redactor: self.redactor,
            start: Timestamp::now(),
        }))
    }
}
