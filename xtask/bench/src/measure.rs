//! Measurements for the closures of a case.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Runs `work` on `count` items and returns the number of items per second.
pub fn rate<T>(count: u64, work: impl FnOnce() -> T) -> f64 {
    count as f64 / time(work).as_secs_f64()
}

/// Runs `work` and returns its duration in milliseconds.
pub fn time_ms<T>(work: impl FnOnce() -> T) -> f64 {
    time(work).as_secs_f64() * 1e3
}

/// Runs `work` and returns its duration in microseconds.
pub fn time_us<T>(work: impl FnOnce() -> T) -> f64 {
    time(work).as_secs_f64() * 1e6
}

/// Runs `work` on `count` items and returns the nanoseconds per item.
pub fn time_ns_each<T>(count: u64, work: impl FnOnce() -> T) -> f64 {
    time(work).as_secs_f64() * 1e9 / count as f64
}

/// Returns a percentile of the samples, `part` from 0 to 1; NaN without samples.
///
/// The samples are sorted in place.
pub fn percentile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let index = (last as f64 * part.clamp(0.0, 1.0)).ceil() as usize;
    samples.get(index).copied().unwrap_or(f64::NAN)
}

/// Runs `work` and returns the peak resident memory of the process during it, in MiB.
///
/// Includes memory allocated before. Returns `None` on other systems than Linux, after running `work`.
pub fn peak_rss_mib<T>(work: impl FnOnce() -> T) -> Option<f64> {
    // Resets the peak that the kernel records.
    let reset = fs::write("/proc/self/clear_refs", "5");
    black_box(work());
    reset.ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<f64>().ok()? / 1024.0)
}

/// Returns the median, the mean of the middle two for an even number, or `None` without values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let high = *values.get(values.len() / 2)?;
    let low = values[(values.len() - 1) / 2];
    Some(low.midpoint(high))
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    // At least 1 ns: a rate from a coarse clock would be infinite otherwise.
    start.elapsed().max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_median_is_a_mean() {
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median([7.0].into_iter()), Some(7.0));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn percentile_is_a_sample() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.99), 100.0);
        assert_eq!(percentile(&mut samples, 0.0), 1.0);
        assert_eq!(percentile(&mut samples, 1.0), 100.0);
        assert!(percentile(&mut [], 0.5).is_nan());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_memory_includes_freed_memory() {
        let before = peak_rss_mib(|| ()).expect("Linux");
        let during = peak_rss_mib(|| vec![1_u8; 64 << 20]).expect("Linux");
        assert!(
            during >= before + 48.0,
            "{before} MiB before, {during} MiB during"
        );
    }
}
