//! What the metrics were at one time.

use std::collections::BTreeMap;

use serde::Serialize;

/// The values of all metrics at one time, sorted by name and labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// What was counted.
    pub counters: Vec<Sample<u64>>,
    /// What was measured.
    pub distributions: Vec<Sample<Distribution>>,
    /// What goes up and down.
    pub gauges: Vec<Sample<f64>>,
}

/// A metric and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sample<T> {
    /// The prefix and the name, words joined by `.`.
    pub name: String,
    /// The tags that are labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: T,
}

/// How the values that were measured are distributed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Distribution {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The upper bounds of the buckets, each included in its bucket.
    pub bounds: Vec<f64>,
    /// How many values are in each bucket, and last, how many are above all bounds.
    pub counts: Vec<u64>,
}

impl Distribution {
    /// The mean; `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Snapshot {
    /// The value of a counter over all labels; 0 if nothing was counted.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        let samples = self.counters.iter().filter(|sample| sample.name == name);
        samples.map(|sample| sample.value).sum()
    }

    /// A value that goes up and down, the first of them if it has labels.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<f64> {
        let sample = self.gauges.iter().find(|sample| sample.name == name)?;
        Some(sample.value)
    }

    /// The distribution of a measure, the first of them if it has labels.
    #[must_use]
    pub fn distribution(&self, name: &str) -> Option<&Distribution> {
        let mut samples = self.distributions.iter();
        let sample = samples.find(|sample| sample.name == name)?;
        Some(&sample.value)
    }
}
