//! Runs a command inside walls and limits, started safely from a threaded tokio program.
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
//! A [`SandboxCommand`] has an empty environment, `/dev/null` as its streams, and all walls, unless set otherwise. The
//! end of the command ends everything that it started. Dropping the [`SandboxChild`] kills it, and so does the end of
//! the worker.
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
//! | `ControlGroups` | a view of the own control group only | the same | | yes |
//! | `Landlock` | files of the [`FileView`]; no signals and abstract sockets to the outside | the same | | yes |
//!
//! A wall that this machine cannot have is an error that names the failed step and a remedy.
//! [`Isolation::best_effort`] starts the command without it. `cargo run -p runtime-sandbox --example probe` prints what
//! the machine can have, see [`Support`].
//!
//! Where network namespaces are not allowed, as in many containers, the wall `Network` is a filter that refuses all
//! sockets but local ones, so that there is no loopback interface either. Abstract sockets of the machine then need the
//! wall `Landlock`, version 6. [`Support`] shows which of both it is.
//!
//! Two ways lead out of the network of a sandbox, if they are asked for: [`SandboxCommand::listen`] lets the worker answer
//! on a port of the sandbox's loopback interface, and [`Isolation::outbound_network`] permits connections to other
//! machines. A Unix socket can be a part of the [`FileView`].
//!
//! # System calls
//!
//! The wall `SystemCalls` refuses, with `EPERM`, calls that most escapes need, but few programs:
//!
//! | calls | reason |
//! | --- | --- |
//! | `add_key`, `keyctl`, `request_key` | keyrings belong to users, not to namespaces |
//! | `bpf`, `io_uring_*`, `kcmp`, `lookup_dcookie`, `perf_event_open`, `userfaultfd` | large parts of the kernel with a history of escapes |
//! | `acct`, `delete_module`, `finit_module`, `init_module`, `kexec_*`, `nfsservctl`, `quotactl`, `reboot`, `swapoff`, `swapon`, `syslog`, `vhangup` | they act on the machine |
//! | `clock_settime`, `setdomainname`, `sethostname`, `settimeofday` | they act on the machine or on all of the sandbox |
//! | `mount` and its successors, `chroot`, `pivot_root`, `setns`, `umount2`, `fanotify_init` | they change the files that the sandbox sees |
//! | `clone` and `unshare` with flags for namespaces | a user namespace exposes kernel code that otherwise only root reaches |
//! | `clone3`, with `ENOSYS` | a filter cannot read its flags; programs fall back to `clone` |
//! | `open_by_handle_at` | it opens files without their path |
//! | `ioctl` with `TIOCSTI` or `TIOCLINUX` | they type into a terminal |
//! | `socket` of other families than local, internet and netlink, with `EAFNOSUPPORT` | `AF_VSOCK` and others ignore network namespaces |
//! | `ioperm`, `iopl`, `uselib`; with `ENOSYS` all calls of 32-bit programs and of x32 | their numbers of calls differ, so that the filter would not match them |
//!
//! Programs that create sandboxes themselves, such as browsers, need [`Isolation::without`] this wall.
//!
//! # Limitations
//!
//! - Linux only, on x86-64 and AArch64. On other systems, this crate is empty. The wall `Files` needs Linux 5.12.
//! - [`Limits`] of all processes together need control groups, of version 2, version 1 or both. Disk traffic is counted
//!   by version 2 only, and disk space is not limited.
//! - Without the wall `Processes`, a process that leaves the command's process group survives if the worker is killed.
//! - As another user than root, the command has the worker's supplementary groups. They show as `nogroup`, and apply to
//!   files that it sees.
//! - The wall `User` as root expects that the files of the view are owned by, or open to, the command's user: see
//!   [`SandboxCommand::user`] and [`Isolation::users`].
//! - A command can disturb its own init process, with limits and priorities, and so end itself.
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
mod identity;
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
