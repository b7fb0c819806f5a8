//! When to try again, and when to give up.

use std::time::Duration;

use runtime_http::Backoff;
use tokio::time::Instant;

use crate::{AttemptError, RetryPolicy};

/// New bytes that make an attempt count as progress.
const PROGRESS: u64 = 1 << 20;

/// Counts attempts and time against a policy.
pub(super) struct Retry {
    policy: RetryPolicy,
    backoff: Backoff,
    attempts: u32,
    since_progress: u32,
    start: Instant,
    /// The furthest byte of any attempt when the count began.
    mark: u64,
}

impl Retry {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self {
            backoff: Backoff::new(policy.first_delay),
            policy,
            attempts: 0,
            since_progress: 0,
            start: Instant::now(),
            mark: 0,
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// An attempt begins.
    pub(super) fn attempt(&mut self) {
        self.attempts += 1;
        self.since_progress += 1;
    }

    /// An attempt came as far as `offset`. Only bytes further than all before are progress, so that
    /// a body that always breaks at the same place is not tried for ever.
    pub(super) fn reached(&mut self, offset: u64) {
        if offset >= self.mark + PROGRESS {
            self.mark = offset;
            self.since_progress = 0;
            self.backoff.reset();
            self.start = Instant::now();
        }
    }

    /// How long to wait before the next attempt, or `None` to give up.
    pub(super) fn delay(&mut self, cause: &AttemptError) -> Option<Duration> {
        if self.since_progress >= self.policy.max_attempts {
            return None;
        }
        let asked = cause.retry_after().unwrap_or_default();
        let delay = self.backoff.next_delay(self.policy.max_delay).max(asked);
        // A server may ask for any number of seconds.
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

    /// After so many attempts that failed.
    fn after(attempts: u32) -> Retry {
        let policy = RetryPolicy {
            max_attempts: 12,
            first_delay: FIRST,
            max_delay: MAX,
            budget: BUDGET,
        };
        let mut retry = Retry::new(policy);
        (0..attempts).for_each(|_| retry.attempt());
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
    fn nothing_is_tried_more_often_than_the_policy_says() {
        assert!(after(11).delay(&busy(None)).is_some());
        assert!(after(12).delay(&busy(None)).is_none());
    }

    #[test]
    fn the_server_decides_how_long_to_wait_at_least() {
        let asked = Duration::from_secs(40);
        assert_eq!(after(1).delay(&busy(Some(asked))), Some(asked));
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_goes_past_the_budget_however_long_the_server_asks_for() {
        let mut retry = after(1);
        for asked in [BUDGET, BUDGET + FIRST, Duration::MAX] {
            let wait = retry.delay(&busy(Some(asked)));
            assert_eq!(wait, (asked == BUDGET).then_some(asked), "{asked:?}");
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        for asked in [BUDGET, Duration::MAX] {
            assert_eq!(retry.delay(&busy(Some(asked))), None, "{asked:?}");
        }
        tokio::time::advance(BUDGET).await;
        assert_eq!(retry.delay(&busy(None)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_time_count_from_the_last_mebibyte_that_none_had_brought_before() {
        let exhausted = async |offset: u64| {
            let mut retry = after(12);
            tokio::time::advance(BUDGET).await;
            retry.reached(offset);
            retry
        };
        assert_eq!(exhausted(PROGRESS - 1).await.delay(&busy(None)), None);
        let mut retry = exhausted(PROGRESS).await;
        retry.attempt();
        assert!(retry.delay(&busy(None)).is_some_and(|wait| wait <= FIRST));
        assert_eq!(retry.attempts(), 13, "the error tells of all of them");
        (1..12).for_each(|_| retry.attempt());
        retry.reached(2 * PROGRESS - 1);
        assert_eq!(retry.delay(&busy(None)), None, "it broke at the same place");
    }
}
