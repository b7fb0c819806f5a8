//! Delays between retries.

use std::time::Duration;

use runtime_core::clock::scaled;

/// Doublings after which the delay counts as unbounded: even 1 ms is then 12 days.
const MAX_DOUBLINGS: u32 = 30;

/// Exponential backoff with full jitter.
///
/// The upper bound of the delay doubles with every retry. The delay is a random duration between zero and this bound
/// (full jitter). Workers that lose the same server at the same time therefore spread their retries over the whole
/// interval, instead of retrying together after each doubling.
#[derive(Clone, Debug)]
pub struct Backoff {
    first_delay: Duration,
    /// Delays since the start or the last [`reset`](Self::reset).
    delays: u32,
}

impl Backoff {
    /// Creates a backoff whose first delay is at most `first_delay`.
    #[must_use]
    pub const fn new(first_delay: Duration) -> Self {
        Self {
            first_delay,
            delays: 0,
        }
    }

    /// Returns the delay before the next retry, at most `max_delay`.
    pub fn next_delay(&mut self, max_delay: Duration) -> Duration {
        let bound = self.bound().min(max_delay);
        self.delays = self.delays.saturating_add(1);
        // From zero and not from half of the bound: retries are spread most evenly then, and a
        // short delay now and then is harmless.
        scaled(bound, fastrand::f64())
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.delays = 0;
    }

    fn bound(&self) -> Duration {
        let doublings = self.delays.min(MAX_DOUBLINGS);
        self.first_delay.saturating_mul(1 << doublings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const MAX: Duration = Duration::from_secs(30);

    /// Returns many delays that follow `retries` earlier ones, sorted.
    fn delays_after(retries: u32) -> Vec<Duration> {
        fastrand::seed(7);
        let mut backoff = Backoff::new(FIRST);
        backoff.delays = retries;
        let mut delays: Vec<_> = (0..200).map(|_| backoff.clone().next_delay(MAX)).collect();
        delays.sort();
        delays
    }

    #[test]
    fn bounds_double_with_every_delay() {
        let mut backoff = Backoff::new(FIRST);
        let bounds: Vec<_> = (0..6)
            .map(|_| {
                let bound = backoff.bound().as_millis();
                backoff.next_delay(MAX);
                bound
            })
            .collect();
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 8000]);
    }

    #[test]
    fn delays_cover_zero_to_bound() {
        for (retries, bound) in [(0, FIRST), (1, 2 * FIRST), (3, 8 * FIRST), (10, MAX)] {
            let delays = delays_after(retries);
            assert!(delays[0] < bound / 10, "{:?} after {retries}", delays[0]);
            assert!(delays[100] > bound / 3, "{:?} after {retries}", delays[100]);
            assert!(
                delays[199] > bound * 9 / 10,
                "{:?} after {retries}",
                delays[199]
            );
            assert!(delays[199] <= bound, "{:?} after {retries}", delays[199]);
        }
    }

    #[test]
    fn any_number_of_retries_stays_within_max() {
        for retries in [31, 4_000_000, u32::MAX] {
            assert!(delays_after(retries)[199] <= MAX, "after {retries}");
        }
        let mut backoff = Backoff::new(Duration::MAX);
        for _ in 0..100 {
            assert!(backoff.next_delay(MAX) <= MAX);
        }
    }

    #[test]
    fn reset_starts_over() {
        let mut backoff = Backoff::new(FIRST);
        for _ in 0..10 {
            backoff.next_delay(MAX);
        }
        backoff.reset();
        assert!(backoff.next_delay(MAX) <= FIRST);
    }
}
