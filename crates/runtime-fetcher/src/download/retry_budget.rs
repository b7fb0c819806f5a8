//! Delays between attempts, and when to give up.

use std::time::Duration;

use runtime_http::Backoff;
use tokio::time::Instant;

use crate::attempt_error::AttemptError;
use crate::config::RetryPolicy;

/// The new bytes that make an attempt count as progress.
const MIN_PROGRESS_BYTES: u64 = 1 << 20;

/// Counts attempts and time against a [`RetryPolicy`].
///
/// Progress resets both: a body of many gigabytes may break more often than the policy allows for one of a few bytes.
pub(super) struct RetryBudget {
    policy: RetryPolicy,
    backoff: Backoff,
    attempts: u32,
    attempts_since_progress: u32,
    /// The start of the fetch, or the time of the last progress.
    start: Instant,
    /// The furthest offset at the last progress.
    progress_offset: u64,
}

impl RetryBudget {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self {
            backoff: Backoff::new(policy.first_delay),
            policy,
            attempts: 0,
            attempts_since_progress: 0,
            start: Instant::now(),
            progress_offset: 0,
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn start_attempt(&mut self) {
        self.attempts += 1;
        self.attempts_since_progress += 1;
    }

    /// Records how far an attempt got.
    ///
    /// Only an offset beyond those of all earlier attempts is progress: else a body that always breaks at the same
    /// offset would be retried forever.
    pub(super) fn record_advance(&mut self, offset: u64) {
        // A minimum, since a server that breaks each connection after a few bytes must exhaust the
        // budget.
        if offset >= self.progress_offset + MIN_PROGRESS_BYTES {
            self.progress_offset = offset;
            self.attempts_since_progress = 0;
            self.backoff.reset();
            self.start = Instant::now();
        }
    }

    /// Returns the delay before the next attempt, or `None` to give up.
    pub(super) fn delay(&mut self, cause: &AttemptError) -> Option<Duration> {
        if self.attempts_since_progress >= self.policy.max_attempts {
            return None;
        }
        // The server knows its load, so its wait may exceed `max_delay`, but not the budget.
        let requested = cause.retry_after().unwrap_or_default();
        let delay = self.backoff.next_delay(self.policy.max_delay);
        let delay = delay.max(requested);
        // Waiting for an attempt that the budget will not allow would only delay the error.
        let end = self.start.elapsed().saturating_add(delay);
        (end <= self.policy.budget).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const MAX: Duration = Duration::from_secs(30);
    const BUDGET: Duration = Duration::from_secs(300);

    /// Returns the budget after a number of failed attempts.
    fn after(attempts: u32) -> RetryBudget {
        let policy = RetryPolicy {
            max_attempts: 12,
            first_delay: FIRST,
            max_delay: MAX,
            budget: BUDGET,
        };
        let mut retry = RetryBudget::new(policy);
        (0..attempts).for_each(|_| retry.start_attempt());
        retry
    }

    fn busy(retry_after: Option<Duration>) -> AttemptError {
        AttemptError::Status {
            status: 503,
            retry_after,
            body: String::new(),
        }
    }

    #[test]
    fn delays_double_up_to_the_policys_maximum() {
        let mut retry = after(1);
        for bound in [FIRST, 2 * FIRST, 4 * FIRST] {
            assert!(retry.delay(&busy(None)).is_some_and(|delay| delay <= bound));
        }
        for _ in 0..100 {
            assert!(retry.delay(&busy(None)).is_some_and(|delay| delay <= MAX));
        }
    }

    #[test]
    fn number_of_attempts_is_limited() {
        assert!(after(11).delay(&busy(None)).is_some());
        assert!(after(12).delay(&busy(None)).is_none());
    }

    #[test]
    fn retry_after_is_the_minimum_delay() {
        let requested = Duration::from_secs(40);
        assert_eq!(after(1).delay(&busy(Some(requested))), Some(requested));
    }

    #[tokio::test(start_paused = true)]
    async fn no_delay_exceeds_the_budget() {
        let mut retry = after(1);
        for requested in [BUDGET, BUDGET + FIRST, Duration::MAX] {
            let delay = retry.delay(&busy(Some(requested)));
            assert_eq!(
                delay,
                (requested == BUDGET).then_some(requested),
                "{requested:?}"
            );
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        for requested in [BUDGET, Duration::MAX] {
            assert_eq!(retry.delay(&busy(Some(requested))), None, "{requested:?}");
        }
        tokio::time::advance(BUDGET).await;
        assert_eq!(retry.delay(&busy(None)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_resets_attempts_and_time() {
        let exhausted = async |offset: u64| {
            let mut retry = after(12);
            tokio::time::advance(BUDGET).await;
            retry.record_advance(offset);
            retry
        };
        assert_eq!(
            exhausted(MIN_PROGRESS_BYTES - 1).await.delay(&busy(None)),
            None
        );
        let mut retry = exhausted(MIN_PROGRESS_BYTES).await;
        retry.start_attempt();
        assert!(retry.delay(&busy(None)).is_some_and(|delay| delay <= FIRST));
        assert_eq!(retry.attempts(), 13, "the error reports all attempts");
        (1..12).for_each(|_| retry.start_attempt());
        retry.record_advance(2 * MIN_PROGRESS_BYTES - 1);
        assert_eq!(retry.delay(&busy(None)), None, "broke at the same offset");
    }
}
