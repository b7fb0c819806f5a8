//! The configurable intervals and timeouts of a worker.

use std::time::Duration;

#[cfg(feature = "config")]
use runtime_core::util::{DurationText, at_least};

/// Time reserved for the end of the process, after the reports and uploads of its runs.
pub(crate) const EXIT_RESERVE: Duration = Duration::from_secs(2);

/// The part of the exit reserve in which a run removes its files.
pub(crate) const DISPOSE_RESERVE: Duration = Duration::from_secs(1);

/// Intervals and timeouts of a worker. The defaults suit a worker in a data centre.
///
/// With the feature `config`, it is the section `timing` of a [configuration](crate::config::WorkerConfig).
///
/// ```
/// # use std::time::Duration;
/// let mut timing = runtime_worker::Timing::default();
/// timing.cancel_poll_interval = Duration::from_secs(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema),
    serde(rename_all = "camelCase", deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct Timing {
    /// Interval at which the worker asks the queue whether a running task was cancelled, plus or minus 10%. The
    /// queue does not push cancellations, so a cancelled task may run for this time. Default: 9 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    #[cfg_attr(feature = "config", schemars(transform = at_least("1 s")))]
    pub cancel_poll_interval: Duration,
    /// Time before the expiry of a claim at which the worker reclaims, but at most a third of the claim.
    /// Default: 3 minutes.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    #[cfg_attr(feature = "config", schemars(transform = at_least("1 s")))]
    pub reclaim_margin: Duration,
    /// Time after the expiry of a claim during which the worker still tries to reclaim if the queue is
    /// unreachable. Default: 60 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    pub claim_grace: Duration,
    /// Delay after the first failure of a reclaim or report, unless the queue refuses it. It doubles with each
    /// further failure, to at most 16 times this value. Default: 2 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    #[cfg_attr(feature = "config", schemars(transform = at_least("1 s")))]
    pub retry_delay: Duration,
    /// Delay after a refused [admission](crate::admission), and mean delay after a failed claim: that one is random
    /// between zero and twice this value, so that workers do not return together after an outage. Default: 5 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    #[cfg_attr(feature = "config", schemars(transform = at_least("1 s")))]
    pub claim_retry_delay: Duration,
    /// Time after which the queue can no longer answer a claim request with a task, counted from when it was sent:
    /// the 20 s of its long poll and a margin.
    ///
    /// A worker that stops waits until then for a claim in flight, and gives no run back before: the queue could
    /// return that run to the claim, and it would be blocked until the claim expires. Default: 22 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    #[cfg_attr(feature = "config", schemars(transform = at_least("21 s")))]
    pub long_poll_timeout: Duration,
    /// Delay after a claim that returned no task. Default: 100 ms.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    pub empty_claim_delay: Duration,
    /// Time that an engine may take to kill a task. Default: 15 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    pub kill_timeout: Duration,
    /// Time beyond `kill_timeout` after which an engine counts as hanging, and time that a plugin may take to dispose.
    /// When it has passed, the task is resolved anyway and the worker stops gracefully. Default: 60 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    pub hang_timeout: Duration,
    /// Time for which a stage of an engine or plugin may run, such as the upload of all artifacts. When it has passed,
    /// the stage is dropped and the run is an internal error. The run time of the task itself does not count.
    /// Default: 2 hours.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    #[cfg_attr(feature = "config", schemars(transform = at_least("1 s")))]
    pub stage_timeout: Duration,
    /// Time that an immediate stop may take if its notice sets no deadline: to kill tasks, and for reports and uploads
    /// with their retries. Counted from when no claim is in flight, see `long_poll_timeout`. Default: 10 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    pub shutdown_timeout: Duration,
    /// Time before the deadline of a graceful stop at which it becomes an immediate one, and at which runs are given
    /// back even if a claim is in flight. Default: 30 s.
    #[cfg_attr(feature = "config", serde(with = "DurationText"))]
    pub shutdown_reserve: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            cancel_poll_interval: Duration::from_secs(9),
            reclaim_margin: Duration::from_secs(180),
            claim_grace: Duration::from_secs(60),
            retry_delay: Duration::from_secs(2),
            claim_retry_delay: Duration::from_secs(5),
            long_poll_timeout: Duration::from_secs(22),
            empty_claim_delay: Duration::from_millis(100),
            kill_timeout: Duration::from_secs(15),
            hang_timeout: Duration::from_secs(60),
            stage_timeout: Duration::from_secs(2 * 3600),
            shutdown_timeout: Duration::from_secs(10),
            shutdown_reserve: Duration::from_secs(30),
        }
    }
}
