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
    pub claim_answer: Option<u32>,
    /// How long an engine may take to end a task.
    pub kill: Option<u32>,
    /// How long it may overstay that, and a plugin may take to dispose, before it counts as hanging.
    pub hang: Option<u32>,
    /// How long a worker that stops at once may take when nobody said how much time there is.
    pub shutdown: Option<u32>,
    /// How long before its deadline a graceful stop becomes an immediate one.
    pub shutdown_reserve: Option<u32>,
}

impl TimingConfig {
    /// The intervals, with defaults for what is absent.
    #[must_use]
    pub fn to_timing(&self) -> Timing {
        let mut timing = Timing::default();
        for (target, seconds) in [
            (&mut timing.cancel_poll, self.cancel_poll),
            (&mut timing.reclaim_margin, self.reclaim_margin),
            (&mut timing.claim_grace, self.claim_grace),
            (&mut timing.retry_pause, self.retry_pause),
            (&mut timing.claim_pause, self.claim_pause),
            (&mut timing.claim_answer, self.claim_answer),
            (&mut timing.kill, self.kill),
            (&mut timing.hang, self.hang),
            (&mut timing.shutdown, self.shutdown),
            (&mut timing.shutdown_reserve, self.shutdown_reserve),
        ] {
            if let Some(seconds) = seconds {
                *target = Duration::from_secs(seconds.into());
            }
        }
        timing
    }
}
