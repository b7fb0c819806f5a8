//! When to try again, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use crate::{FetchCause, RetryPolicy};

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
    pub(super) fn delay(&self, cause: &FetchCause) -> Option<Duration> {
        if self.since_progress >= self.policy.max_attempts {
            return None;
        }
        let asked = cause.retry_after().unwrap_or_default();
        let delay = self.jittered().max(asked);
        (self.start.elapsed() + delay <= self.policy.budget).then_some(delay)
    }

    /// A random part of the exponential delay ("full jitter"), so that many workers spread out.
    fn jittered(&self) -> Duration {
        let doublings = self.since_progress.saturating_sub(1).min(20);
        let longest = self.policy.first_delay.saturating_mul(1 << doublings);
        longest.min(self.policy.max_delay).mul_f64(fastrand::f64())
    }
}
