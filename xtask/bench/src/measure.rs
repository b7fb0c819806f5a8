//! Ready measurements for the closures of a case.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Runs `work`, which does `count` things, and returns how many it did a second.
pub fn rate<T>(count: u64, work: impl FnOnce() -> T) -> f64 {
    count as f64 / time(work).as_secs_f64()
}

/// Runs `work` and returns how many milliseconds it took.
pub fn time_ms<T>(work: impl FnOnce() -> T) -> f64 {
    time(work).as_secs_f64() * 1e3
}

/// Runs `work` and returns how many microseconds it took.
pub fn time_us<T>(work: impl FnOnce() -> T) -> f64 {
    time(work).as_secs_f64() * 1e6
}

/// Runs `work`, which does `count` things, and returns how many nanoseconds each took.
pub fn time_ns_each<T>(count: u64, work: impl FnOnce() -> T) -> f64 {
    time(work).as_secs_f64() * 1e9 / count as f64
}

/// Returns the value below which `part` (0 to 1) of the samples lie; NaN without samples.
///
/// The samples are sorted in place.
pub fn percentile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let index = (last as f64 * part.clamp(0.0, 1.0)).ceil() as usize;
    samples.get(index).copied().unwrap_or(f64::NAN)
}

/// Runs `work` and returns the highest resident memory of this process meanwhile, in MiB.
///
/// Only Linux tells: elsewhere `work` runs and the answer is `None`. What the process held before counts too.
pub fn peak_rss_mib<T>(work: impl FnOnce() -> T) -> Option<f64> {
    // Resets the kernel's high-water mark.
    let reset = fs::write("/proc/self/clear_refs", "5");
    black_box(work());
    reset.ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<f64>().ok()? / 1024.0)
}

/// Returns the middle value, the mean of the middle two, or `None` without values.
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
    // A clock too coarse for the work must not make the rate infinite.
    start.elapsed().max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median([7.0].into_iter()), Some(7.0));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn percentile_never_leaves_the_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.99), 100.0);
        assert_eq!(percentile(&mut samples, 0.0), 1.0);
        assert_eq!(percentile(&mut samples, 1.0), 100.0);
        assert!(percentile(&mut [], 0.5).is_nan());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_memory_sees_what_was_freed_again() {
        let before = peak_rss_mib(|| ()).expect("Linux tells");
        let during = peak_rss_mib(|| vec![1_u8; 64 << 20]).expect("Linux tells");
        assert!(
            during >= before + 48.0,
            "{before} MiB before, {during} MiB during"
        );
    }
}
