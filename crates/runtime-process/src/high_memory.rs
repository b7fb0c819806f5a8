//! The settings for a machine that runs out of memory.

use std::time::Duration;

use runtime_core::util::{ByteSize, DurationText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When the worker ends a task because the memory of the machine runs out.
///
/// Both conditions have to hold for the duration. The worker then kills the running command that uses most memory, with
/// an error in its log, and the task fails. Other tasks continue. If the memory stays low, the next one follows after
/// the same duration. A command that uses less than a tenth of `min_available` is not killed: it would not help.
///
/// The memory is that of the machine, even if the worker is in a container with less. Only Linux reports it; on other
/// systems, the settings have no effect.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_process::{HighMemory, ProcessEngine};
/// let mut high_memory = HighMemory::default();
/// high_memory.min_available = 2 << 30;
/// high_memory.duration = Duration::from_secs(2);
/// let engine = ProcessEngine::new().abort_on_high_memory(high_memory);
/// # let _ = engine;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HighMemory {
    /// The share of the machine's memory in percent that may be in use. With 100, no task is ended. Default: 90.
    #[schemars(range(min = 1, max = 100))]
    pub max_used_percent: u8,
    /// The memory in bytes that must be available. Default: 500 MiB.
    #[serde(with = "ByteSize")]
    pub min_available: u64,
    /// The time for which both may be exceeded. Default: 5 s.
    #[serde(with = "DurationText")]
    pub duration: Duration,
}

impl Default for HighMemory {
    fn default() -> Self {
        Self {
            max_used_percent: 90,
            min_available: 500 << 20,
            duration: Duration::from_secs(5),
        }
    }
}
