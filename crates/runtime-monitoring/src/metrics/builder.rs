//! The configuration of a metrics store.

use std::collections::HashMap;

use runtime_ioext::log::Redactor;

use super::catalog::{MetricMetadata, RESOLUTION_LABEL, Unit};

/// Configures [`Metrics`](crate::Metrics).
#[derive(Clone, Debug, Default)]
#[must_use = "call `build` to create the store"]
pub struct MetricsBuilder {
    /// Sorted and without duplicates.
    pub(super) labels: Vec<String>,
    pub(super) bounds: HashMap<String, Vec<f64>>,
    pub(super) metadata: HashMap<String, MetricMetadata>,
    pub(super) redactor: Option<Redactor>,
    pub(super) has_zero_counters: bool,
}

impl MetricsBuilder {
    /// Exports the tags with these names as labels.
    ///
    /// Each combination of values becomes a series. Choose tags with few values, such as the kind of a cache, and none that
    /// identify a task.
    pub fn labels<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.labels.extend(names.into_iter().map(Into::into));
        self.labels.sort();
        self.labels.dedup();
        self
    }

    /// Sets the upper bounds of the buckets of a distribution. `name` includes the prefix.
    ///
    /// The default bounds suit the [unit](Unit) of the metric; a metric without metadata has those for seconds.
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

    /// Sets the unit and the help text of a metric, which monitoring systems display.
    ///
    /// The metrics of this workspace are [described](crate::CATALOG) already.
    pub fn describe(
        mut self,
        name: impl Into<String>,
        unit: Unit,
        help: impl Into<String>,
    ) -> Self {
        let help = help.into();
        self.metadata
            .insert(name.into(), MetricMetadata { unit, help });
        self
    }

    /// Creates all counters of this workspace with the value 0, and exports the tag `resolution` of `tasks-resolved`.
    ///
    /// Without it, a counter appears with its first event, whose increase monitoring systems then miss.
    pub fn zero_counters(mut self) -> Self {
        self.has_zero_counters = true;
        self.labels([RESOLUTION_LABEL])
    }

    /// Redacts secrets in label values.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }
}
