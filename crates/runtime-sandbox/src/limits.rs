//! Resource limits of a command.

use crate::cgroup::{Cgroup, CgroupLimits, CgroupParents, CreateCgroupError};
use crate::error::SpawnStep;
use crate::plan::Plan;

/// The resource limits of a command.
///
/// | limits | apply to | by |
/// | --- | --- | --- |
/// | `memory`, `swap`, `pids`, `cpus`, `cpu_weight` | all processes of the command together | a control group |
/// | the others | each process | the kernel's resource limits |
///
/// If a limit is not set, the worker's limit applies. Only root, or a user to whom a group is delegated, can create
/// control groups. A resource limit above the worker's hard limit needs the capability `CAP_SYS_RESOURCE`. If a limit
/// cannot be set, the start fails, unless [`best_effort`](Self::best_effort) is set.
///
/// ```
/// # #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use runtime_sandbox::{Limits, SandboxCommand};
///
/// let limits = Limits::new().memory(512 << 20).pids(100);
/// # let limits = limits.best_effort();
/// let mut child = SandboxCommand::new("true").limits(limits).spawn().await?;
/// let exit = child.wait().await?;
/// if exit.cgroup.oom_killed() {
///     println!("the command needs more than 512 MiB");
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
/// # fn main() {}
/// ```
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
    /// Creates limits without core dumps. No other limit is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of open files.
    pub fn open_files(mut self, count: u64) -> Self {
        self.open_files = Some(count);
        self
    }

    /// Sets the maximum size of a file that a process can write, in bytes. A larger write causes the signal `SIGXFSZ`.
    pub fn file_size(mut self, bytes: u64) -> Self {
        self.file_size = Some(bytes);
        self
    }

    /// Sets the number of processes and threads of the command's user.
    ///
    /// The kernel counts all processes of the user, since Linux 5.14 only those in the same user namespace. Without the
    /// wall [`User`](crate::Wall::User), the worker's processes count too.
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

    /// Sets the memory of all processes together in bytes, including the page cache of their files and the files in the
    /// sandbox's `/tmp`, and 20 MiB to 70 MiB of the program that connects its network with
    /// [`outbound_network`](crate::Isolation::outbound_network). When the limit is exceeded, the kernel kills a process. Without [`swap`](Self::swap), the
    /// processes cannot use swap space.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.group.memory = Some(bytes);
        self
    }

    /// Sets the swap space of all processes together in bytes, in addition to [`memory`](Self::memory). It has no
    /// effect if `memory` is not set. Default: 0.
    pub fn swap(mut self, bytes: u64) -> Self {
        self.group.swap = bytes;
        self
    }

    /// Sets the number of processes and threads together, including the sandbox's own first process, and the two that
    /// connect its network with [`outbound_network`](crate::Isolation::outbound_network). Above it, `fork` fails.
    pub fn pids(mut self, count: u64) -> Self {
        self.group.pids = Some(count);
        self
    }

    /// Sets the number of CPUs whose time all processes together may use, such as 1.5.
    pub fn cpus(mut self, cpus: f64) -> Self {
        self.group.cpus = Some(cpus);
        self
    }

    /// Sets the share of CPU time relative to other groups, from 1 to 10 000. It applies when the groups need more CPU
    /// time than available. The default of the kernel is 100.
    pub fn cpu_weight(mut self, weight: u32) -> Self {
        self.group.cpu_weight = Some(weight);
        self
    }

    /// Starts commands without the limits of a control group that this machine cannot have, instead of failing.
    ///
    /// [`SandboxChild::missing_limits`](crate::SandboxChild::missing_limits) returns the missing limits. Log them.
    pub fn best_effort(mut self) -> Self {
        self.group.best_effort = true;
        self
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

impl CgroupParents {
    /// Creates a group with a unique name, and with the limits that apply to all processes together. If no hierarchy
    /// can be used, the group has no folder; [`support`](Self::support) returns the reasons.
    ///
    /// # Errors
    ///
    /// A [`CreateCgroupError`], for example if the parent's limit of groups is reached, or if a limit is not supported.
    pub fn create(&self, limits: &Limits) -> Result<Cgroup, CreateCgroupError> {
        self.create_limited(&limits.group)
    }
}
