//! The explanation of a process that the kernel killed because memory ran out.

use std::path::{Path, PathBuf};

use runtime_core::util::ByteSize;
use runtime_worker::Exit;

use crate::limits::TaskLimits;
use crate::proc;

/// The OOM score adjustment of tasks: the kernel prefers to kill them before the worker. Raising the score needs
/// no privileges.
pub(crate) const OOM_SCORE_ADJ: i32 = 500;

const OOM_IN_TASK: &str =
    "Out of memory: the task exceeded its memory limit, and the kernel killed one of its processes";
const OOM_ON_MACHINE: &str = "Out of memory: the machine ran out of memory, and the kernel killed a process, most likely of this task";

/// The exit codes and signals of a process that was killed with `SIGKILL`. A shell reports the death of its child as
/// 128 plus the signal.
const KILLED: [Exit; 2] = [Exit::Signal(9), Exit::Code(137)];

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

    /// Returns an explanation for the log of a failed command if the kernel killed a process since the start. `group` is
    /// the count of the command's control group.
    pub(crate) fn explanation(
        &self,
        exit: Exit,
        group: Option<u64>,
        limits: &TaskLimits,
    ) -> Option<String> {
        // Each command has a new control group, so its count starts at zero. The command itself may have ended in any
        // way: a build tool whose compiler was killed ends with its own code.
        if let Some(kills) = group {
            let limit = limits.memory.map_or_else(String::new, |limit| {
                format!("; the limit is {}", ByteSize(limit).to_exact_text())
            });
            return (kills > 0).then(|| format!("{OOM_IN_TASK}{limit}"));
        }
        if !KILLED.contains(&exit) {
            return None;
        }
        // Without a group, only the machine's count is known: the killed process may belong to another task.
        let before = self.before?;
        let kills = proc::oom_kills(&self.vmstat)?;
        (kills > before).then(|| OOM_ON_MACHINE.to_owned())
    }
}
