//! The values of all metrics at one time.

use std::collections::BTreeMap;

use runtime_core::monitor::Counter;
use serde::Serialize;

/// The values of all metrics at one time, sorted by name and labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The counters.
    pub counters: Vec<Sample<CounterValue>>,
    /// The distributions.
    pub distributions: Vec<Sample<Distribution>>,
    /// The gauges.
    pub gauges: Vec<Sample<f64>>,
}

/// The value of one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sample<T> {
    /// The metric name: prefix and name, words joined by `.`.
    pub name: String,
    /// The labels by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: T,
}

/// The value of a counter: an exact integer, unless fractions were counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum CounterValue {
    /// A sum without a fraction.
    Whole(u64),
    /// A sum with a fraction.
    Fractional(f64),
}

impl CounterValue {
    pub(super) fn read(counter: &Counter) -> Self {
        let sum = counter.get_f64();
        // Above 2⁵³, an `f64` has no fraction, so the more precise integer is used.
        if sum.fract() == 0.0 {
            Self::Whole(counter.get())
        } else {
            Self::Fractional(sum)
        }
    }

    /// Returns the value as a floating-point number, which is rounded above 2⁵³.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Fractional(value) => value,
        }
    }
}

/// The distribution of recorded values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Distribution {
    /// The number of values.
    pub count: u64,
    /// The sum of all values.
    pub sum: f64,
    /// The smallest value; positive infinity without values.
    pub min: f64,
    /// The largest value; negative infinity without values.
    pub max: f64,
    /// The inclusive upper bounds of the buckets.
    pub bounds: Vec<f64>,
    /// The number of values in each bucket. The last entry counts the values above all bounds.
    pub counts: Vec<u64>,
}

impl Distribution {
    /// Returns the mean, or `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Snapshot {
    /// Returns the value of a counter summed over all labels, rounded down; 0 if it was never counted.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        // Summed as a counter does it: fractions apart, so that whole numbers stay exact.
        let total = Counter::new();
        for sample in self.counters.iter().filter(|sample| sample.name == name) {
            match sample.value {
                CounterValue::Whole(value) => total.add(value),
                CounterValue::Fractional(value) => total.add_f64(value),
            }
        }
        total.get()
    }

    /// Returns the value of a gauge, the first in order of labels.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<f64> {
        let sample = self.gauges.iter().find(|sample| sample.name == name)?;
        Some(sample.value)
    }

    /// Returns a distribution, the first in order of labels.
    #[must_use]
    pub fn distribution(&self, name: &str) -> Option<&Distribution> {
        let mut samples = self.distributions.iter();
        let sample = samples.find(|sample| sample.name == name)?;
        Some(&sample.value)
    }
}

/// Groups samples by metric. Relies on the order of a snapshot: samples of a metric are adjacent.
#[cfg(any(feature = "otlp", feature = "prometheus"))]
pub(crate) fn families<T>(samples: &[Sample<T>]) -> impl Iterator<Item = &[Sample<T>]> {
    samples.chunk_by(|a, b| a.name == b.name)
}
