//! The usage of a command over time.

use std::fmt::Write as _;
use std::time::Duration;

use runtime_core::util::ByteSize;
use runtime_worker::report::UsageSample;

/// The maximum number of samples. With more, the interval between them doubles.
const MAX_SAMPLES: usize = 240;

/// The number of samples before the latest one in a description.
const DESCRIBED_SAMPLES: usize = 5;

/// A limited number of samples of a command, from its start to now.
#[derive(Debug)]
pub(crate) struct UsageCurve {
    samples: Vec<UsageSample>,
    latest: UsageSample,
    /// One of this number of samples is kept.
    stride: u32,
    /// The number of samples since the last kept one.
    skipped: u32,
}

impl Default for UsageCurve {
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            latest: UsageSample::default(),
            stride: 1,
            skipped: 0,
        }
    }
}

impl UsageCurve {
    pub(crate) fn push(&mut self, sample: UsageSample) {
        self.latest = sample;
        self.skipped += 1;
        if self.skipped < self.stride {
            return;
        }
        self.skipped = 0;
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(sample);
            return;
        }
        let mut index = 0;
        self.samples.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        // The last kept sample stays, so this one is in the middle of the next interval.
        self.skipped = self.stride;
        self.stride = self.stride.saturating_mul(2);
    }

    /// Returns the latest memory of the command in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.latest.memory
    }

    /// Returns the kept samples and the latest one.
    pub(crate) fn into_samples(mut self) -> Vec<UsageSample> {
        if self.skipped > 0 {
            self.samples.push(self.latest);
        }
        self.samples
    }

    /// Describes the latest samples, such as `1.0 GiB (1.0 s before), 2.0 GiB (0.5 s before), 3.0 GiB`.
    pub(crate) fn describe(&self) -> String {
        let end = self.latest.elapsed;
        let earlier = self.samples.iter().filter(|it| it.elapsed < end);
        let earlier: Vec<_> = earlier.rev().take(DESCRIBED_SAMPLES).collect();
        let mut text = String::new();
        for sample in earlier.into_iter().rev() {
            if let Some(memory) = sample.memory {
                let before: Duration = end.saturating_sub(sample.elapsed);
                let (memory, before) = (ByteSize(memory), before.as_secs_f64());
                // Writing to a string cannot fail.
                let _ = write!(text, "{memory} ({before:.1} s before), ");
            }
        }
        let latest = ByteSize(self.latest.memory.unwrap_or_default());
        let _ = write!(text, "{latest}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(count: u64) -> UsageCurve {
        let mut curve = UsageCurve::default();
        for index in 1..=count {
            curve.push(UsageSample {
                elapsed: Duration::from_millis(500 * index),
                memory: Some(index << 20),
                ..UsageSample::default()
            });
        }
        curve
    }

    #[test]
    fn long_curve_is_thinned_out() {
        let curve = curve(100_000);
        assert_eq!(curve.memory(), Some(100_000 << 20));
        let samples = curve.into_samples();
        assert!((MAX_SAMPLES / 2..=MAX_SAMPLES + 1).contains(&samples.len()));
        let times: Vec<_> = samples.iter().map(|it| it.elapsed.as_millis()).collect();
        let (last, kept) = times.split_last().expect("there are samples");
        assert_eq!(*last, 50_000_000);
        let interval = kept[0];
        assert!(kept.windows(2).all(|it| it[1] - it[0] == interval));
        assert!(last - kept[kept.len() - 1] <= interval);
    }

    #[test]
    fn latest_samples_are_described() {
        assert_eq!(curve(1).describe(), "1.0 MiB");
        let text = curve(3).describe();
        assert_eq!(
            text,
            "1.0 MiB (1.0 s before), 2.0 MiB (0.5 s before), 3.0 MiB"
        );
        assert_eq!(curve(100).describe().matches("before").count(), 5);
        assert_eq!(UsageCurve::default().describe(), "0 B");
    }
}
