//! Runs a command behind walls and limits, started safely from a multi-threaded tokio program.
//!
//! ```
//! # #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
//! # fn main() {}
//! # #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use runtime_sandbox::{FileView, Isolation, Limits, SandboxCommand};
//!
//! # let folder = std::env::temp_dir();
//! let view = FileView::system().read_only(&folder, "/inputs");
//! let mut child = SandboxCommand::new("sh")
//!     .args(["-c", "ls /inputs >/tmp/list"])
//!     .isolation(Isolation::strict().files(view))
//!     .limits(Limits::new().open_files(1024))
//!     .spawn()
//!     .await?;
//! let exit = tokio::time::timeout(Duration::from_secs(60), child.wait()).await??;
//! println!("{} after {:?}", exit.status, exit.usage.user_time);
//! # Ok(())
//! # }
//! ```
//!
//! A *wall* is a mechanism of Linux that separates a command from a part of the machine, such as a namespace or a
//! filter of system calls. By default, a [`SandboxCommand`] has all walls, an empty environment, and `/dev/null` as its
//! streams. When the command ends, all other processes of its sandbox are killed. The command is killed when its
//! [`SandboxChild`] is dropped, and when the process that started it ends.
//!
//! The docs of this crate call the process that starts commands the *worker*.
//!
//! # Walls
//!
//! [`Isolation::none`], [`user`](Isolation::user) and [`strict`](Isolation::strict) are presets;
//! [`with`](Isolation::with) and [`without`](Isolation::without) change them.
//!
//! | wall | as root | as another user | user | strict |
//! | --- | --- | --- | --- | --- |
//! | `User` | a user id of a range for each command, no groups | a user namespace with the worker's user | yes | yes |
//! | `Privileges` | no capabilities, no new privileges by setuid programs | the same | yes | yes |
//! | `Processes` | a process namespace and its `/proc` | the same | yes | yes |
//! | `Ipc` | a namespace for System V IPC and message queues | the same | yes | yes |
//! | `SystemCalls` | a filter, see below | the same | yes | yes |
//! | `Files` | a root folder with the files of the [`FileView`] | the same | | yes |
//! | `Network` | a network with a loopback interface only, or no network sockets, see below | the same | | yes |
//! | `HostName` | the host name `sandbox` | the same | | yes |
//! | `ControlGroups` | a view of its control group only | the same | | yes |
//! | `Landlock` | files of the [`FileView`]; no signals and abstract sockets to the outside | the same | | yes |
//!
//! If the machine cannot have a wall, the start returns an error with the failed step and a remedy. With
//! [`Isolation::best_effort`], the command starts without the wall. `cargo run -p runtime-sandbox --example probe`
//! prints the walls that the machine can have, see [`Support`].
//!
//! Where network namespaces are not allowed, as in many containers, the wall `Network` is a filter that permits only
//! Unix sockets, so there is no loopback interface either. The filter does not block abstract Unix sockets of the
//! machine: only the wall `Landlock`, since its version 6, does. [`Support`] shows whether the wall is a namespace or a
//! filter.
//!
//! Two settings permit connections out of a network namespace: with [`SandboxCommand::listen`], the command can connect
//! to the worker on a port of the sandbox's loopback interface, and [`Isolation::outbound_network`] permits connections
//! to other machines. In addition, the [`FileView`] may contain Unix sockets.
//!
//! # System calls
//!
//! The wall `SystemCalls` refuses calls that most escapes need, but only few programs. Refused calls fail with `EPERM`,
//! unless the table has another error:
//!
//! | calls | reason |
//! | --- | --- |
//! | `add_key`, `keyctl`, `request_key` | keyrings belong to users, not to namespaces |
//! | `bpf`, `io_uring_*`, `kcmp`, `lookup_dcookie`, `perf_event_open`, `userfaultfd` | large parts of the kernel with a history of escapes |
//! | `acct`, `delete_module`, `finit_module`, `init_module`, `kexec_*`, `nfsservctl`, `quotactl`, `reboot`, `swapoff`, `swapon`, `syslog`, `vhangup` | they affect the machine |
//! | `clock_settime`, `setdomainname`, `sethostname`, `settimeofday` | they affect the machine or the whole sandbox |
//! | `mount` and its successors, `chroot`, `pivot_root`, `setns`, `umount2`, `fanotify_init` | they change the files that the sandbox sees |
//! | `clone` and `unshare` with flags for namespaces | a user namespace exposes kernel code that otherwise only root reaches |
//! | `clone3`, with `ENOSYS` | a filter cannot read its flags; programs fall back to `clone` |
//! | `open_by_handle_at` | it opens files without their path |
//! | `ioctl` with `TIOCSTI` or `TIOCLINUX` | they insert input into a terminal |
//! | `socket` of other families than Unix, internet and netlink, with `EAFNOSUPPORT` | `AF_VSOCK` and others ignore network namespaces |
//! | `ioperm`, `iopl`, `uselib` | obsolete, or only for privileged programs |
//! | all calls of 32-bit programs and of x32, with `ENOSYS` | their calls have other numbers, which the filter would not recognize |
//!
//! Programs that create sandboxes themselves, such as browsers, do not run behind this wall: remove it with
//! [`Isolation::without`].
//!
//! # Limitations
//!
//! - Linux only, on x86-64 and AArch64. On other systems, this crate is empty. The wall `Files` needs Linux 5.12.
//! - [`Limits`] of all processes together need control groups, of version 2, version 1 or both. Only version 2 counts
//!   disk traffic. Disk space is not limited.
//! - Without the wall `Processes`, a process that leaves the command's process group survives if the worker is killed.
//! - If the worker is not root, the command keeps the worker's supplementary groups. They appear as `nogroup`, and
//!   their permissions apply to the files of the sandbox.
//! - If the worker is root, the wall `User` does not change permissions: the command's user must own the files of the
//!   view or have access to them, see [`SandboxCommand::user`] and [`Isolation::users`].
//! - A command can change limits and priorities of its init process (its parent), and so cause the end of its sandbox.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

mod cgroup;
mod child;
mod clone;
mod closed_addresses;
mod command;
mod compose;
mod error;
mod files;
mod grouped_start;
mod init;
mod isolation;
mod limits;
mod outbound;
mod plan;
mod process;
mod spawn;
mod start;
mod stdio;
mod support;
mod sys;
mod terminal;
mod uids;
mod user_mode;
mod walls;

pub use cgroup::{
    AbandonedCgroups, Cgroup, CgroupLimitError, CgroupParents, CgroupSupport, CgroupUsage,
    CreateCgroupError, Pressure,
};
pub use child::{SandboxChild, SandboxExit};
pub use command::SandboxCommand;
pub use error::{SpawnError, SpawnStep};
pub use files::FileView;
pub use isolation::{Isolation, Wall};
pub use limits::Limits;
pub use process::SandboxUsage;
pub use stdio::StdStream;
pub use support::Support;
pub use terminal::{SandboxTerminal, TerminalSize};
pub use uids::UserLease;
