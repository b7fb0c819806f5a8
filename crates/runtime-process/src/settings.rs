//! The settings of the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::high_memory::HighMemoryPolicy;
use crate::isolation::{TaskIsolation, TaskNetwork};
use crate::kill_sequence::KillSequence;
use crate::limits::TaskLimits;

/// The value of `PATH` for tasks.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The settings of a [`ProcessEngine`](crate::ProcessEngine).
#[derive(Clone, Debug)]
pub(crate) struct EngineSettings {
    /// Variables of all tasks.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) kill_sequence: KillSequence,
    pub(crate) adopts_orphans: bool,
    pub(crate) cgroups: CgroupSetting,
    /// The file in which the kernel counts OOM kills of the machine.
    pub(crate) vmstat: PathBuf,
    /// The file in which the kernel counts the memory of the machine.
    pub(crate) meminfo: PathBuf,
    pub(crate) isolation: TaskIsolation,
    pub(crate) network: TaskNetwork,
    /// Files and folders that are visible to isolated tasks, in addition to the system folders.
    pub(crate) visible_paths: Vec<PathBuf>,
    /// Files and folders in visible folders that are hidden from isolated tasks.
    pub(crate) hidden_paths: Vec<PathBuf>,
    /// The defaults for tasks, and the maximum values that payloads may ask for.
    pub(crate) limits: TaskLimits,
    pub(crate) high_memory: HighMemoryPolicy,
}

/// The parent of the control groups of commands.
#[derive(Clone, Debug)]
pub(crate) enum CgroupSetting {
    Disabled,
    BelowOwn,
    Below(#[cfg_attr(not(unix), expect(dead_code, reason = "only Linux has them"))] PathBuf),
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            env: BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]),
            kill_sequence: KillSequence::default(),
            adopts_orphans: false,
            cgroups: CgroupSetting::BelowOwn,
            vmstat: "/proc/vmstat".into(),
            meminfo: "/proc/meminfo".into(),
            isolation: TaskIsolation::default(),
            network: TaskNetwork::default(),
            visible_paths: Vec::new(),
            hidden_paths: Vec::new(),
            limits: TaskLimits::default(),
            high_memory: HighMemoryPolicy::default(),
        }
    }
}
