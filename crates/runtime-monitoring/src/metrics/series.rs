//! One counter or one distribution.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Distribution;

/// A number that is updated in place by many threads.
#[derive(Debug, Default)]
pub(super) struct AtomicF64(AtomicU64);

impl AtomicF64 {
    fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    /// Replaces the number by what `change` makes of it, unless that is `None`.
    fn update(&self, change: impl Fn(f64) -> Option<f64>) {
        let change = |bits| change(f64::from_bits(bits)).map(f64::to_bits);
        // An error means that there was nothing to change.
        let _ = self.0.fetch_update(Relaxed, Relaxed, change);
    }
}

/// The distribution of the values that were measured.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: Box<[f64]>,
    /// One more than bounds: the last is for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicF64,
    min: AtomicF64,
    max: AtomicF64,
}

impl Histogram {
    /// Makes an empty one; the upper bounds of its buckets must ascend.
    pub(super) fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: bounds.into(),
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicF64::default(),
            min: AtomicF64::new(f64::INFINITY),
            max: AtomicF64::new(f64::NEG_INFINITY),
        }
    }

    /// Adds a value. What is not a number belongs nowhere and is ignored.
    pub(super) fn record(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.update(|sum| Some(sum + value));
        self.min.update(|min| (value < min).then_some(value));
        self.max.update(|max| (value > max).then_some(value));
    }

    pub(super) fn read(&self) -> Distribution {
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|count| count.load(Relaxed))
            .collect();
        Distribution {
            count: counts.iter().sum(),
            sum: self.sum.get(),
            min: self.min.get(),
            max: self.max.get(),
            bounds: self.bounds.to_vec(),
            counts,
        }
    }
}
