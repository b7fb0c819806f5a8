//! The explanation of a process that the kernel killed because memory ran out.

use std::path::{Path, PathBuf};

use crate::proc;

/// The OOM score adjustment of tasks: the kernel prefers to kill them before the worker. Raising the score needs
/// no privileges.
pub(crate) const OOM_SCORE_ADJ: i32 = 500;

const OOM_IN_TASK: &str =
    "Out of memory: the task exceeded its memory limit, and the kernel killed one of its processes";
const OOM_ON_MACHINE: &str = "Out of memory: the machine ran out of memory, and the kernel killed a process, most likely of this task";

/// Watches the count of OOM kills of the machine during a command.
pub(crate) struct OomWatch {
    vmstat: PathBuf,
    before: Option<u64>,
}

impl OomWatch {
    /// Starts to watch. The count of the machine is not needed if the command's control group counts.
    pub(crate) fn start(vmstat: &Path, is_counted: bool) -> Self {
        Self {
            vmstat: vmstat.to_owned(),
            before: (!is_counted).then(|| proc::oom_kills(vmstat)).flatten(),
        }
    }

    /// Returns an explanation for the log if the kernel killed a process since the start. `group` is the count of the
    /// command's control group.
    pub(crate) fn explanation(&self, group: Option<u64>) -> Option<&'static str> {
        // Each command has a new control group, so its count starts at zero.
        if let Some(kills) = group {
            return (kills > 0).then_some(OOM_IN_TASK);
        }
        // Without a group, only the machine's count is known: the killed process may belong to another task.
        let before = self.before?;
        let kills = proc::oom_kills(&self.vmstat)?;
        (kills > before).then_some(OOM_ON_MACHINE)
    }
}
