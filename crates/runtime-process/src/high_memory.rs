//! The settings for a machine that runs out of memory.

use std::time::Duration;

use runtime_core::util::{ByteSize, DurationText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The thresholds of the machine's memory at which the worker ends a task.
///
/// If both thresholds are exceeded for the duration, the worker kills the running command that uses most memory, and
/// logs an error to the task's log. The task fails, and other tasks continue. If the memory stays low, the next command
/// is killed after the same duration. A command that uses less than a tenth of `min_available` is not killed, because
/// its memory would not suffice.
///
/// The thresholds apply to the memory of the machine, even if the worker is in a container with less memory. The
/// settings have an effect on Linux only.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_process::{HighMemoryPolicy, ProcessEngine};
/// let mut high_memory = HighMemoryPolicy::default();
/// high_memory.min_available = 2 << 30;
/// high_memory.duration = Duration::from_secs(2);
/// let engine = ProcessEngine::new().abort_on_high_memory(high_memory);
/// # let _ = engine;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HighMemoryPolicy {
    /// The percentage of the machine's memory that may be in use. With 100, no task is ended. Default: 90.
    #[schemars(range(min = 1, max = 100))]
    pub max_used_percent: u8,
    /// The memory in bytes that should be available. Default: 500 MiB.
    #[serde(with = "ByteSize")]
    pub min_available: u64,
    /// The time for which both thresholds may be exceeded. Default: 5 s.
    #[serde(with = "DurationText")]
    pub duration: Duration,
}

impl Default for HighMemoryPolicy {
    fn default() -> Self {
        Self {
            max_used_percent: 90,
            min_available: 500 << 20,
            duration: Duration::from_secs(5),
        }
    }
}
