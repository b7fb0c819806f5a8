//! How long to wait between attempts.

use std::time::Duration;

/// Waits that grow, each a random part of the whole ("full jitter"), so that workers which lost the same
/// server do not come back all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, attempts: 0 }
    }

    /// The next wait, at most this long.
    pub(crate) fn next(&mut self, most: Duration) -> Duration {
        // Past this many doublings every wait is `most`.
        let factor = 1_u32 << self.attempts.min(20);
        self.attempts = self.attempts.saturating_add(1);
        self.first
            .saturating_mul(factor)
            .min(most)
            .mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_most() {
        let mut backoff = Backoff::new(Duration::from_millis(100));
        let most = Duration::from_secs(2);
        for attempt in 0..100 {
            let limit = Duration::from_millis(100 << attempt.min(10)).min(most);
            assert!(backoff.next(most) <= limit, "attempt {attempt}");
        }
        backoff = Backoff::new(Duration::from_millis(100));
        assert!(backoff.next(most) <= Duration::from_millis(100));
    }

    #[test]
    fn waits_are_spread_over_the_whole_time() {
        let mut backoff = Backoff::new(Duration::from_secs(2));
        let most = Duration::from_secs(2);
        let waits: Vec<_> = (0..200).map(|_| backoff.next(most)).collect();
        assert!(waits.iter().any(|wait| *wait < most / 4));
        assert!(waits.iter().any(|wait| *wait > most / 4 * 3));
    }
}
