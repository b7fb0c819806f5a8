//! Resource limits of a command.

use crate::cgroup::CgroupLimits;
use crate::error::SpawnStep;
use crate::plan::Plan;

/// The resource limits of a command.
///
/// They apply to each process on its own. `None` leaves the worker's limit. A limit above the worker's hard limit
/// needs the capability `CAP_SYS_RESOURCE`, and is otherwise an error.
#[derive(Clone, Debug, Default)]
#[must_use = "limits have an effect only as a part of a command"]
pub struct Limits {
    open_files: Option<u64>,
    file_size: Option<u64>,
    processes: Option<u64>,
    address_space: Option<u64>,
    core_size: u64,
    /// The limits of all processes together.
    pub(crate) group: CgroupLimits,
}

impl Limits {
    /// Creates limits of which only the size of core dumps is set, to 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of open files.
    pub fn open_files(mut self, count: u64) -> Self {
        self.open_files = Some(count);
        self
    }

    /// Sets the largest size of a file that a process can write, in bytes. It receives `SIGXFSZ` beyond.
    pub fn file_size(mut self, bytes: u64) -> Self {
        self.file_size = Some(bytes);
        self
    }

    /// Sets the number of processes and threads of the command's user.
    ///
    /// The kernel counts by user, and by user namespace since Linux 5.14. Without the wall
    /// [`User`](crate::Wall::User), the processes of the worker count too.
    pub fn processes(mut self, count: u64) -> Self {
        self.processes = Some(count);
        self
    }

    /// Sets the address space of a process in bytes. Programs of some languages reserve far more than they use.
    pub fn address_space(mut self, bytes: u64) -> Self {
        self.address_space = Some(bytes);
        self
    }

    /// Sets the size of core dumps in bytes. Default: 0, no core dumps.
    pub fn core_size(mut self, bytes: u64) -> Self {
        self.core_size = bytes;
        self
    }

    #[cfg(test)]
    pub(crate) fn of_group(group: CgroupLimits) -> Self {
        Self {
            group,
            ..Self::new()
        }
    }

    /// Sets the limits of the process.
    pub(crate) fn apply(&self, plan: &mut Plan) {
        plan.step(SpawnStep::Limit);
        let limits = [
            (libc::RLIMIT_NOFILE, self.open_files),
            (libc::RLIMIT_FSIZE, self.file_size),
            (libc::RLIMIT_NPROC, self.processes),
            (libc::RLIMIT_AS, self.address_space),
            (libc::RLIMIT_CORE, Some(self.core_size)),
        ];
        for (resource, limit) in limits {
            let Some(limit) = limit else { continue };
            // `struct rlimit64`: the current and the largest value.
            let value = plan.address(&[limit.to_ne_bytes(), limit.to_ne_bytes()].concat());
            let arguments = [0.into(), resource.into(), value, 0.into()];
            plan.call(libc::SYS_prlimit64, arguments);
        }
    }
}
