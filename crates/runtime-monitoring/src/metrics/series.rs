//! The series of a metric: one per combination of label values.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;

/// The maximum number of series per table. Without a limit, a label with unbounded values would exhaust the memory of the
/// worker and of every system that scrapes it. The largest number of counters occupies 11 MiB.
const MAX_SERIES: usize = 10_000;

/// The values of the configured label names, in the same order. Empty if no label has a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LabelValues(Box<[Option<Box<str>>]>);

impl LabelValues {
    pub(super) fn new<'a>(names: &[String], get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let values: Box<[_]> = names.iter().map(|name| get(name).map(Box::from)).collect();
        // A single representation of "no labels": exporters must not receive two series that look the same.
        if values.iter().all(Option::is_none) {
            return Self::default();
        }
        Self(values)
    }

    pub(super) fn to_map(&self, names: &[String]) -> BTreeMap<String, String> {
        let both = names.iter().zip(&self.0);
        both.filter_map(|(name, value)| Some((name.clone(), value.as_deref()?.to_owned())))
            .collect()
    }
}

/// The identity of a series.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    /// The metric name, prefix included.
    pub(super) name: String,
    pub(super) labels: LabelValues,
}

/// All series of one kind. `T` is a handle: clones share the value.
pub(super) struct SeriesTable<T>(RwLock<HashMap<SeriesKey, T>>);

impl<T: Clone> SeriesTable<T> {
    /// Returns the series of a key and creates it if necessary.
    ///
    /// In a full table, a new combination of labels is recorded in the series of the same name without labels: totals stay
    /// correct, only the breakdown is lost.
    pub(super) fn get_or_create(&self, mut key: SeriesKey, create: impl FnOnce(&str) -> T) -> T {
        if let Some(series) = self.0.read().get(&key) {
            return series.clone();
        }
        // Before the lock is taken for writing: the closure allocates the buckets of a histogram.
        let created = create(&key.name);
        let mut table = self.0.write();
        if table.len() >= MAX_SERIES {
            key.labels = LabelValues::default();
        }
        // Another thread may have created it between the two locks.
        table.entry(key).or_insert(created).clone()
    }

    /// Returns all series, sorted by name and labels.
    pub(super) fn sorted(&self) -> Vec<(SeriesKey, T)> {
        // Sorted after unlocking: an export must not delay the first use of a metric.
        let mut series: Vec<_> = self.0.read().clone().into_iter().collect();
        series.sort_by(|(a, _), (b, _)| a.cmp(b));
        series
    }

    pub(super) fn len(&self) -> usize {
        self.0.read().len()
    }
}

impl<T> Default for SeriesTable<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}
