//! Delays between attempts.

use std::time::Duration;

use tokio::time::Instant;

use crate::settings::RetrySettings;

/// The attempts of one call: how many, and when the next one may start.
#[derive(Debug)]
pub(crate) struct Backoff {
    settings: RetrySettings,
    started: Instant,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(settings: RetrySettings) -> Self {
        Self {
            settings,
            started: Instant::now(),
            attempts: 0,
        }
    }

    /// Counts an attempt that starts now.
    pub(crate) fn begin_attempt(&mut self) {
        self.attempts += 1;
    }

    /// Does not count `time` that has passed against the budget.
    pub(crate) fn leave_out(&mut self, time: Duration) {
        self.started += time;
    }

    /// How many attempts were begun.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Waits for the next attempt: at least `at_least`, which is what the server asked for. `false`
    /// if the budget does not last that long.
    pub(crate) async fn wait(&self, at_least: Option<Duration>) -> bool {
        let delay = self
            .delay(fastrand::f64())
            .max(at_least.unwrap_or_default());
        if self.started.elapsed() + delay > self.settings.budget {
            return false;
        }
        tokio::time::sleep(delay).await;
        true
    }

    /// Full jitter: anything between nothing and a bound that doubles with each failure.
    fn delay(&self, luck: f64) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(30);
        let bound = self.settings.first_delay.saturating_mul(1 << doublings);
        bound.min(self.settings.longest_delay).mul_f64(luck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(attempts: u32) -> Backoff {
        let mut backoff = Backoff::new(RetrySettings::default());
        (0..attempts).for_each(|_| backoff.begin_attempt());
        backoff
    }

    #[tokio::test(start_paused = true)]
    async fn bounds_double_up_to_the_longest_delay() {
        let bounds: Vec<_> = (1..=10).map(|n| after(n).delay(1.0).as_millis()).collect();
        assert_eq!(
            bounds,
            [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
        assert_eq!(after(4_000_000).delay(1.0).as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_reaches_down_to_nothing() {
        assert_eq!(after(5).delay(0.0), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_takes_as_long_as_the_server_asks() {
        let backoff = after(1);
        let before = Instant::now();
        assert!(backoff.wait(Some(Duration::from_secs(7))).await);
        assert_eq!(before.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_the_budget_does_not_cover_is_not_begun() {
        let backoff = after(1);
        let before = Instant::now();
        assert!(!backoff.wait(Some(Duration::from_secs(181))).await);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_is_left_out_spends_no_budget() {
        let mut backoff = after(1);
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert!(!backoff.wait(None).await);
        backoff.leave_out(before.elapsed());
        assert!(backoff.wait(None).await);
    }
}
