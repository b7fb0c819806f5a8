//! How often and how long: every interval of the worker in one place.

use std::time::Duration;

/// Intervals and limits of a worker; the defaults suit a worker in a data centre.
///
/// ```
/// # use std::time::Duration;
/// let mut timing = runtime_worker::Timing::default();
/// timing.cancel_poll = Duration::from_secs(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// How often to ask the queue whether a running task was cancelled, which it does not tell by
    /// itself; give or take a tenth. Default: 60 s.
    pub cancel_poll: Duration,
    /// How long before the end of a claim to extend it, and never less than a third of the claim.
    /// Default: 3 minutes.
    pub reclaim_margin: Duration,
    /// For how long after the end of a claim to go on trying to extend it, while the queue cannot be
    /// asked whether it is lost. Default: 60 s.
    pub claim_grace: Duration,
    /// The pause after a call of a running task failed for a passing reason; it doubles up to 16 times
    /// that. Default: 2 s.
    pub retry_pause: Duration,
    /// The pause after a claim that failed or that the worker may not make. Default: 5 s.
    pub claim_pause: Duration,
    /// How long the answer to a claim may take once the worker stops at once. A queue that has tasks answers
    /// sooner; one that has none holds the request for 20 s. Default: 2 s.
    pub immediate_claim_timeout: Duration,
    /// How long a claim is waited for from a graceful stop on. It has to exceed the 20 s for which the queue holds
    /// the request, and is all that a worker waits for a queue that it cannot reach. Default: 30 s.
    pub graceful_claim_timeout: Duration,
    /// The pause after a claim that brought nothing. Default: 100 ms.
    pub empty_claim_delay: Duration,
    /// How long an engine may take to end a task. Default: 15 s.
    pub kill_timeout: Duration,
    /// How long an engine may overstay that, and a plugin may take to dispose, before it counts as
    /// hanging: its task is resolved all the same, and the worker stops. Default: 60 s.
    pub hang_timeout: Duration,
    /// How long a worker that stops at once may take when nobody said how much time there is.
    /// Default: 2 minutes.
    pub shutdown: Duration,
    /// How long before its deadline a graceful stop becomes an immediate one. Default: 30 s.
    pub shutdown_reserve: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            cancel_poll: Duration::from_secs(60),
            reclaim_margin: Duration::from_secs(180),
            claim_grace: Duration::from_secs(60),
            retry_pause: Duration::from_secs(2),
            claim_pause: Duration::from_secs(5),
            immediate_claim_timeout: Duration::from_secs(2),
            graceful_claim_timeout: Duration::from_secs(30),
            empty_claim_delay: Duration::from_millis(100),
            kill_timeout: Duration::from_secs(15),
            hang_timeout: Duration::from_secs(60),
            shutdown: Duration::from_secs(120),
            shutdown_reserve: Duration::from_secs(30),
        }
    }
}

/// A number from 0 to 1 that differs each time; it need not be a surprise.
pub(crate) fn luck() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};

    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

/// A duration that is up to a tenth longer or shorter, so that many workers do not call at once.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + luck() / 5.0)
}

/// Pauses between attempts: each twice as long as the one before, up to 16 times the first, with jitter.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) fn new(first: Duration) -> Self {
        Self {
            next: first,
            longest: first.saturating_mul(16),
        }
    }

    pub(crate) async fn pause(&mut self) {
        let pause = jittered(self.next);
        self.next = self.next.saturating_mul(2).min(self.longest);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth() {
        for _ in 0..1000 {
            let jittered = jittered(Duration::from_secs(100)).as_secs_f64();
            assert!((90.0..=110.0).contains(&jittered), "{jittered}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_sixteen_times_the_first() {
        let mut pauses = Pauses::new(Duration::from_secs(1));
        let before = tokio::time::Instant::now();
        for _ in 0..6 {
            pauses.pause().await;
        }
        // 1 + 2 + 4 + 8 + 16 + 16
        let waited = before.elapsed().as_secs_f64();
        assert!((47.0 * 0.9..=47.0 * 1.1).contains(&waited), "{waited}");
    }
}
