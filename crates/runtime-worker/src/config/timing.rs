//! The configuration of intervals and timeouts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timing::Timing;

/// Intervals and timeouts in seconds. The defaults are those of [`Timing`].
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TimingConfig {
    /// Interval at which to ask whether a running task was cancelled.
    #[schemars(range(min = 1))]
    pub cancel_poll_interval: Option<u32>,
    /// Time before the expiry of a claim at which to reclaim.
    #[schemars(range(min = 1))]
    pub reclaim_margin: Option<u32>,
    /// Time after the expiry of a claim during which to retry a reclaim while the queue is unreachable.
    pub claim_grace: Option<u32>,
    /// Delay after the first failure of a reclaim or report; it doubles to at most 16 times this value.
    #[schemars(range(min = 1))]
    pub retry_delay: Option<u32>,
    /// Delay after a failed claim, or while the machine is low on resources.
    #[schemars(range(min = 1))]
    pub claim_retry_delay: Option<u32>,
    /// Time after which the queue can no longer answer a claim request with a task; more than the 20 seconds of its
    /// long poll. A worker that stops waits until then for a claim in flight.
    #[schemars(range(min = 21))]
    pub long_poll_timeout: Option<u32>,
    /// Delay after a claim that returned no task; may be a fraction such as `0.5`.
    #[schemars(range(min = 0, max = 3600))]
    pub empty_claim_delay: Option<f64>,
    /// Time that an engine may take to kill a task.
    pub kill_timeout: Option<u32>,
    /// Time beyond `killTimeout` after which an engine counts as hanging, and time that a plugin may take to dispose.
    pub hang_timeout: Option<u32>,
    /// Time that a stage of an engine or plugin may take, such as the upload of all artifacts.
    #[schemars(range(min = 1))]
    pub stage_timeout: Option<u32>,
    /// Time that an immediate stop may take if its notice sets no deadline, in addition to the wait for a claim in
    /// flight.
    pub shutdown_timeout: Option<u32>,
    /// Time before the deadline of a graceful stop at which it becomes an immediate one, and at which runs are given
    /// back even if a claim is in flight.
    pub shutdown_reserve: Option<u32>,
}

impl TimingConfig {
    /// Returns the timing, with defaults for absent keys.
    #[must_use]
    pub fn to_timing(&self) -> Timing {
        let default = Timing::default();
        let or = |seconds: Option<u32>, default| {
            seconds.map_or(default, |seconds| Duration::from_secs(seconds.into()))
        };
        Timing {
            cancel_poll_interval: or(self.cancel_poll_interval, default.cancel_poll_interval),
            reclaim_margin: or(self.reclaim_margin, default.reclaim_margin),
            claim_grace: or(self.claim_grace, default.claim_grace),
            retry_delay: or(self.retry_delay, default.retry_delay),
            claim_retry_delay: or(self.claim_retry_delay, default.claim_retry_delay),
            long_poll_timeout: or(self.long_poll_timeout, default.long_poll_timeout),
            empty_claim_delay: self
                .empty_claim_delay
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or(default.empty_claim_delay),
            kill_timeout: or(self.kill_timeout, default.kill_timeout),
            hang_timeout: or(self.hang_timeout, default.hang_timeout),
            stage_timeout: or(self.stage_timeout, default.stage_timeout),
            shutdown_timeout: or(self.shutdown_timeout, default.shutdown_timeout),
            shutdown_reserve: or(self.shutdown_reserve, default.shutdown_reserve),
        }
    }
}
