//! Intervals and limits of time.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timing;

/// Intervals and limits in seconds; what is absent is as [`Timing`] has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TimingConfig {
    /// How often to ask whether a running task was cancelled.
    #[schemars(range(min = 1))]
    pub cancel_poll: Option<u32>,
    /// How long before the end of a claim to extend it.
    #[schemars(range(min = 1))]
    pub reclaim_margin: Option<u32>,
    /// For how long after the end of a claim to go on trying to extend it, while the queue cannot be asked.
    pub claim_grace: Option<u32>,
    /// The pause after a call of a running task failed for a passing reason; it doubles up to 16 times that.
    #[schemars(range(min = 1))]
    pub retry_pause: Option<u32>,
    /// The pause after a claim that failed or that the worker may not make.
    #[schemars(range(min = 1))]
    pub claim_pause: Option<u32>,
    /// How long the answer to a claim may take once the worker stops at once.
    pub immediate_claim_timeout: Option<u32>,
    /// How long a claim is waited for from a graceful stop on; more than the 20 seconds that the queue takes.
    #[schemars(range(min = 20))]
    pub graceful_claim_timeout: Option<u32>,
    /// The pause after a claim that brought nothing; a fraction such as `0.5` is fine.
    #[schemars(range(min = 0, max = 3600))]
    pub empty_claim_delay: Option<f64>,
    /// How long an engine may take to end a task.
    pub kill_timeout: Option<u32>,
    /// How long it may overstay that, and a plugin may take to dispose, before it counts as hanging.
    pub hang_timeout: Option<u32>,
    /// How long a worker that stops at once may take when nobody said how much time there is.
    pub shutdown: Option<u32>,
    /// How long before its deadline a graceful stop becomes an immediate one.
    pub shutdown_reserve: Option<u32>,
}

impl TimingConfig {
    /// The intervals, with defaults for what is absent.
    #[must_use]
    pub fn to_timing(&self) -> Timing {
        let default = Timing::default();
        let or = |seconds: Option<u32>, default| {
            seconds.map_or(default, |seconds| Duration::from_secs(seconds.into()))
        };
        Timing {
            cancel_poll: or(self.cancel_poll, default.cancel_poll),
            reclaim_margin: or(self.reclaim_margin, default.reclaim_margin),
            claim_grace: or(self.claim_grace, default.claim_grace),
            retry_pause: or(self.retry_pause, default.retry_pause),
            claim_pause: or(self.claim_pause, default.claim_pause),
            immediate_claim_timeout: or(
                self.immediate_claim_timeout,
                default.immediate_claim_timeout,
            ),
            graceful_claim_timeout: or(self.graceful_claim_timeout, default.graceful_claim_timeout),
            empty_claim_delay: self
                .empty_claim_delay
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or(default.empty_claim_delay),
            kill_timeout: or(self.kill_timeout, default.kill_timeout),
            hang_timeout: or(self.hang_timeout, default.hang_timeout),
            shutdown: or(self.shutdown, default.shutdown),
            shutdown_reserve: or(self.shutdown_reserve, default.shutdown_reserve),
        }
    }
}
