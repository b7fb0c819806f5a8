//! Randomized delays.

use std::time::Duration;

/// Largest delay of a [`Backoff`], as a multiple of the first: 32 s with the default first delay of 2 s, so that a
/// recovered queue is noticed within `claim_grace`.
const MAX_GROWTH: u32 = 16;

/// Exponential backoff with 10% jitter.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration) -> Self {
        Self {
            next: first,
            max: first.saturating_mul(MAX_GROWTH),
        }
    }

    pub(crate) async fn sleep(&mut self) {
        let delay = jittered(self.next);
        self.next = self.next.saturating_mul(2).min(self.max);
        tokio::time::sleep(delay).await;
    }
}

/// Lengthens or shortens a duration by up to 10%, so that the workers of a pool do not call the queue at the same
/// moment.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + fastrand::f64() / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_at_most_a_tenth() {
        for _ in 0..1000 {
            let jittered = jittered(Duration::from_secs(100)).as_secs_f64();
            assert!((90.0..=110.0).contains(&jittered), "{jittered}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delays_double_up_to_sixteen_times() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let before = tokio::time::Instant::now();
        for _ in 0..6 {
            backoff.sleep().await;
        }
        // 1 + 2 + 4 + 8 + 16 + 16
        let waited = before.elapsed().as_secs_f64();
        assert!((47.0 * 0.9..=47.0 * 1.1).contains(&waited), "{waited}");
    }
}
