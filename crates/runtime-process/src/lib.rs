//! An engine that runs tasks as processes of the worker's machine.
//!
//! Each task gets its own folder and an environment without the worker's variables. Without isolation, each of its
//! commands leads a session and a process group. If the worker may create control groups, the command has one. All its
//! processes inherit two marks: an environment variable, and a limit of file locks that identifies the command. The
//! engine uses all of them to kill every process of a command when it ends, and the marks and groups to find processes
//! that a crashed worker left running. When the worker starts, the engine logs what it can contain.
//!
//! By default, tasks run as the worker's user and can read its files. With an [isolation](TaskIsolation), each command
//! runs behind walls of `runtime-sandbox`: as another user, with the system folders, its own folder, caches and inputs
//! as its only files, and with its own processes only, which all end with it. The paths are the same with each
//! isolation. A wall that the machine cannot have is an error when the worker starts.
//!
//! ```
//! use std::time::Duration;
//!
//! use runtime_process::{KillSequence, ProcessEngine, TaskIsolation};
//!
//! let engine = ProcessEngine::new()
//!     .env("PATH", "/opt/tools:/usr/bin:/bin")
//!     .kill_sequence(KillSequence::new(Duration::from_secs(7), Duration::from_secs(3)))
//!     .isolation(TaskIsolation::Strict)
//!     .visible_path("/opt/tools");
//! # let _ = engine;
//! ```
//!
//! [`TaskLimits`] limits the memory, processes, CPU time and disk space of each command. A task may ask for less. The log of a failed
//! command names the limit that it reached.
//!
//! [`HighMemory`] ends the task that uses most memory before the machine runs out of it. The usage of each command over
//! time is a part of the task's report.
//!
//! # Other engines
//!
//! An engine with another payload uses [`ProcessEngine::new_builder`]: the builder does everything except for reading the
//! payload. The example `bubblewrap` is such an engine. `CommandsEngine`, on Unix, runs programs of the operator instead of
//! commands of the payload.
//!
//! # Limitations
//!
//! - Process groups need Unix. On other systems, only the process that the engine started is killed.
//! - Control groups, limits, orphans and resource usage need Linux. Network traffic is not counted.
//! - Read-only folders need an isolation. Further commands in a running task need Linux on x86-64 or AArch64. Isolated tasks
//!   with another network than that of the machine have no proxies where network namespaces are not allowed.
//! - Isolation needs Linux on x86-64 or AArch64. Isolated tasks share the network of the machine, reach
//!   other machines only, or have none.
//! - Without isolation and a control group, a process that forks faster than it is found may outlive its task. So may any
//!   process of a task that runs as root without isolation: it can leave its control group and change its marks.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use runtime_sandbox as cgroup;
#[cfg(all(
    unix,
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))
))]
#[path = "cgroup_portable.rs"]
mod cgroup;
#[cfg(target_os = "linux")]
mod child_process;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "child_process_fork.rs"]
mod child_process;
mod command_processes;
#[cfg_attr(not(target_os = "linux"), path = "command_watch_portable.rs")]
mod command_watch;
#[cfg(unix)]
mod commands;
mod config;
#[cfg(unix)]
mod containment;
mod disk_watch;
#[cfg(target_os = "linux")]
mod end_notice;
mod engine;
mod engine_state;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod exec;
#[cfg(target_os = "linux")]
mod exec_strings;
#[cfg(unix)]
mod group_limits;
mod high_memory;
mod input_copy;
mod isolation;
mod kill_sequence;
mod limits;
#[cfg(unix)]
mod marks;
#[cfg(target_os = "linux")]
mod memory_timer;
#[cfg(unix)]
mod oom;
#[cfg(unix)]
mod orphan_reaper;
#[cfg(unix)]
mod orphan_search;
#[cfg(unix)]
mod orphans;
mod output;
mod payload;
#[cfg(unix)]
mod proc;
#[cfg_attr(not(unix), path = "process_tree_portable.rs")]
mod process_tree;
mod program_origin;
mod running_command;
mod sandbox;
mod sandbox_builder;
mod search_path;
mod settings;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(unix)]
mod start_control;
mod start_error;
mod starting_command;
mod task;
mod task_folder;
#[cfg(target_os = "linux")]
mod tree_memory;
#[cfg(unix)]
mod usage;
#[cfg(target_os = "linux")]
mod usage_curve;
#[cfg(target_os = "linux")]
mod vfork;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod walled_command;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod walls;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "walled_command_portable.rs"]
mod walled_command;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "walls_portable.rs"]
mod walls;

#[cfg(unix)]
pub use commands::{CommandsConfig, CommandsConfigError, CommandsEngine};
pub use config::ProcessConfig;
pub use engine::ProcessEngine;
pub use high_memory::HighMemory;
pub use isolation::{TaskIsolation, TaskNetwork};
pub use kill_sequence::KillSequence;
pub use limits::TaskLimits;
pub use sandbox_builder::ProcessSandboxBuilder;
