//! Attempts and retry budget of one call.

use std::time::Duration;

use runtime_http::Backoff;
use tokio::time::Instant;

use crate::settings::RetrySettings;

/// Counts the attempts of one call and waits between them until the budget is spent.
#[derive(Debug)]
pub(crate) struct Retries {
    settings: RetrySettings,
    backoff: Backoff,
    started: Instant,
    attempts: u32,
}

impl Retries {
    pub(crate) fn new(settings: RetrySettings) -> Self {
        Self {
            settings,
            backoff: Backoff::new(settings.first_delay),
            started: Instant::now(),
            attempts: 0,
        }
    }

    /// Counts an attempt that starts now.
    pub(crate) fn begin_attempt(&mut self) {
        self.attempts += 1;
    }

    /// Excludes `time` from the elapsed time, so that it does not count against the budget.
    pub(crate) fn exclude(&mut self, time: Duration) {
        // Moves the start instead of adding up excluded times: `elapsed` then needs no correction.
        self.started += time;
    }

    /// Returns the number of attempts so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Waits for the next attempt, at least for `min_delay`, which is the server's `Retry-After`.
    ///
    /// Returns `false` at once if the budget ends before.
    pub(crate) async fn wait(&mut self, min_delay: Option<Duration>) -> bool {
        let backoff = self.backoff.next_delay(self.settings.max_delay);
        let delay = backoff.max(min_delay.unwrap_or_default());
        // Checked before the delay: waiting for an attempt that may not start would only postpone the error.
        if self.started.elapsed().saturating_add(delay) > self.settings.budget {
            return false;
        }
        tokio::time::sleep(delay).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_attempt() -> Retries {
        let mut retries = Retries::new(RetrySettings::default());
        retries.begin_attempt();
        retries
    }

    #[tokio::test(start_paused = true)]
    async fn wait_lasts_as_long_as_the_server_asks() {
        let mut retries = first_attempt();
        let before = Instant::now();
        assert!(retries.wait(Some(Duration::from_secs(7))).await);
        assert_eq!(before.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn wait_beyond_the_budget_does_not_start() {
        let mut retries = first_attempt();
        let before = Instant::now();
        for min_delay in [Duration::from_secs(181), Duration::MAX] {
            assert!(!retries.wait(Some(min_delay)).await);
        }
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn excluded_time_spends_no_budget() {
        let mut retries = first_attempt();
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert!(!retries.wait(None).await);
        retries.exclude(before.elapsed());
        assert!(retries.wait(None).await);
    }
}
