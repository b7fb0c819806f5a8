//! Statistics of disk and memory, which the collector compares with its limits.

mod host;
#[cfg(target_os = "linux")]
mod linux_memory;
mod source;

pub use host::HostStats;
pub use source::{Disk, Memory, Stat, Stats, SystemStats};
