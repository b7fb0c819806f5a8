//! A distribution that many threads update without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use runtime_core::monitor::ValueRecorder;

use super::snapshot::Distribution;

/// An `f64` that threads update in place.
#[derive(Debug)]
struct AtomicF64(AtomicU64);

impl AtomicF64 {
    fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    /// Replaces the value by the result of `change`. `None` keeps it.
    fn update(&self, change: impl Fn(f64) -> Option<f64>) {
        let change = |bits| change(f64::from_bits(bits)).map(f64::to_bits);
        // `Err` means that `change` returned `None`.
        let _ = self.0.fetch_update(Relaxed, Relaxed, change);
    }
}

/// Bucket counts, sum, minimum and maximum of the recorded values.
///
/// Each field is updated on its own with relaxed ordering, so a concurrent snapshot may contain a value in a bucket but not
/// yet in the sum. A lock would make the two consistent but let recording threads wait for each other.
#[derive(Debug)]
pub(super) struct AtomicHistogram {
    bounds: Box<[f64]>,
    /// One more than `bounds`: the last bucket counts the values above all bounds.
    counts: Box<[AtomicU64]>,
    sum: AtomicF64,
    min: AtomicF64,
    max: AtomicF64,
}

impl AtomicHistogram {
    /// Creates an empty histogram. The upper bounds of the buckets must ascend.
    pub(super) fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: bounds.into(),
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicF64::new(0.0),
            min: AtomicF64::new(f64::INFINITY),
            max: AtomicF64::new(f64::NEG_INFINITY),
        }
    }

    pub(super) fn read(&self) -> Distribution {
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|count| count.load(Relaxed))
            .collect();
        Distribution {
            // Derived from the buckets rather than counted separately: Prometheus and OTLP reject a histogram whose count
            // differs from the total of its buckets.
            count: counts.iter().sum(),
            sum: self.sum.get(),
            min: self.min.get(),
            max: self.max.get(),
            bounds: self.bounds.to_vec(),
            counts,
        }
    }
}

impl ValueRecorder for AtomicHistogram {
    fn record(&self, value: f64) {
        // NaN belongs to no bucket, and a single one would turn the sum into NaN for good.
        if value.is_nan() {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.update(|sum| Some(sum + value));
        self.min.update(|min| (value < min).then_some(value));
        self.max.update(|max| (value > max).then_some(value));
    }
}
