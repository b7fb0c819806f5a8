//! The configurable intervals and timeouts of a worker.

use std::time::Duration;

/// Intervals and timeouts of a worker. The defaults suit a worker in a data centre.
///
/// ```
/// # use std::time::Duration;
/// let mut timing = runtime_worker::Timing::default();
/// timing.cancel_poll_interval = Duration::from_secs(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Interval at which the worker asks the queue whether a running task was cancelled, plus or minus 10%. The
    /// queue does not push cancellations. Default: 60 s.
    pub cancel_poll_interval: Duration,
    /// Time before the expiry of a claim at which the worker reclaims, but at most a third of the claim.
    /// Default: 3 minutes.
    pub reclaim_margin: Duration,
    /// Time after the expiry of a claim during which the worker still tries to reclaim if the queue is
    /// unreachable. Default: 60 s.
    pub claim_grace: Duration,
    /// Delay after the first failure of a reclaim or report, unless the queue refuses it. It doubles with each
    /// further failure, to at most 16 times this value. Default: 2 s.
    pub retry_delay: Duration,
    /// Delay after a failed claim or a refused [admission](crate::admission). Default: 5 s.
    pub claim_retry_delay: Duration,
    /// Age at which a claim request is given up after an immediate stop, counted from when it was sent. A queue with
    /// pending tasks answers sooner; an empty queue holds the request for 20 s. Default: 2 s.
    pub immediate_claim_timeout: Duration,
    /// Time after a graceful stop that a claim in flight may take. It has to exceed the 20 s for which an empty queue
    /// holds the request. Default: 30 s.
    pub graceful_claim_timeout: Duration,
    /// Delay after a claim that returned no task. Default: 100 ms.
    pub empty_claim_delay: Duration,
    /// Time that an engine may take to kill a task. Default: 15 s.
    pub kill_timeout: Duration,
    /// Time beyond `kill_timeout` after which an engine counts as hanging, and time that a plugin may take to dispose.
    /// When it has passed, the task is resolved anyway and the worker stops gracefully. Default: 60 s.
    pub hang_timeout: Duration,
    /// Time that an immediate stop may take if its notice sets no deadline. Default: 2 minutes.
    pub shutdown_timeout: Duration,
    /// Time before the deadline of a graceful stop at which it becomes an immediate one. Default: 30 s.
    pub shutdown_reserve: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            cancel_poll_interval: Duration::from_secs(60),
            reclaim_margin: Duration::from_secs(180),
            claim_grace: Duration::from_secs(60),
            retry_delay: Duration::from_secs(2),
            claim_retry_delay: Duration::from_secs(5),
            immediate_claim_timeout: Duration::from_secs(2),
            graceful_claim_timeout: Duration::from_secs(30),
            empty_claim_delay: Duration::from_millis(100),
            kill_timeout: Duration::from_secs(15),
            hang_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(120),
            shutdown_reserve: Duration::from_secs(30),
        }
    }
}
