//! When to try again, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use crate::{AttemptError, RetryPolicy};

/// New bytes that make an attempt count as progress.
const PROGRESS: u64 = 1 << 20;

/// Counts attempts and time against a policy.
pub(super) struct Retry {
    policy: RetryPolicy,
    attempts: u32,
    since_progress: u32,
    start: Instant,
    /// The furthest byte of any attempt when the count began.
    mark: u64,
}

impl Retry {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self {
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
            self.start = Instant::now();
        }
    }

    /// How long to wait before the next attempt, or `None` to give up.
    pub(super) fn delay(&self, cause: &AttemptError) -> Option<Duration> {
        if self.since_progress >= self.policy.max_attempts {
            return None;
        }
        let asked = cause.retry_after().unwrap_or_default();
        let delay = self.jittered().max(asked);
        // A server may ask for any number of seconds.
        let end = self.start.elapsed().saturating_add(delay);
        (end <= self.policy.budget).then_some(delay)
    }

    /// A random part of the exponential delay ("full jitter"), so that many workers spread out.
    fn jittered(&self) -> Duration {
        let doublings = self.since_progress.saturating_sub(1).min(20);
        let longest = self.policy.first_delay.saturating_mul(1 << doublings);
        longest.min(self.policy.max_delay).mul_f64(fastrand::f64())
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

    /// Many waits after so many attempts, from the shortest to the longest.
    fn waits(attempts: u32) -> Vec<Duration> {
        fastrand::seed(7);
        let (retry, cause) = (after(attempts), busy(None));
        let mut waits: Vec<_> = (0..200).filter_map(|_| retry.delay(&cause)).collect();
        waits.sort();
        waits
    }

    #[test]
    fn a_wait_is_any_part_of_what_doubles_up_to_the_longest() {
        for (attempts, longest) in [(1, FIRST), (2, 2 * FIRST), (4, 8 * FIRST), (11, MAX)] {
            let waits = waits(attempts);
            assert_eq!(waits.len(), 200, "after {attempts}");
            assert!(waits[0] < longest / 10, "{:?} after {attempts}", waits[0]);
            assert!(
                waits[100] > longest / 3,
                "{:?} after {attempts}",
                waits[100]
            );
            assert!(waits[199] <= longest, "{:?} after {attempts}", waits[199]);
            assert!(
                waits[199] > longest * 9 / 10,
                "{:?} after {attempts}",
                waits[199]
            );
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
        let retry = after(1);
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
