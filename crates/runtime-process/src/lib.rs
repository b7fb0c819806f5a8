//! An engine that runs tasks as processes of the worker's machine.
//!
//! Each task has its own folder, and an environment without the worker's variables. By default, tasks run as the
//! worker's user and can read its files.
//!
//! With an [isolation](TaskIsolation), each command runs behind walls of `runtime-sandbox`. It runs as another user,
//! sees only system folders, the task's folder, caches and inputs, and sees only its own processes, which all end with
//! it. Paths are the same with each isolation. If the machine cannot have a wall, the worker does not start.
//!
//! Without isolation, each command leads a session and a process group. If the worker may create control groups, the
//! command has one. All processes of a command inherit two marks: an environment variable, and a limit of file locks
//! whose value identifies the command. With session, groups and marks, the engine finds and kills all processes of a
//! command when it ends. With marks and control groups, a new worker finds processes that a crashed worker left
//! running. When the worker starts, the engine logs the walls and limits that this machine has.
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
//! [`TaskLimits`] limits the memory, processes, CPU time and disk space of each command. The payload of a task may
//! contain lower limits. The log of a failed command states the limits that it reached.
//!
//! With [`HighMemoryPolicy`], the engine ends the command that uses most memory when the machine is about to run out of
//! memory. The task's report contains the usage of each command over time.
//!
//! # Other engines
//!
//! To write an engine with another payload, use [`ProcessEngine::new_builder`]: the engine reads the payload and adds
//! commands, and the builder does the rest. The example `bubblewrap` is such an engine. `CommandsEngine`, on Unix, runs
//! programs of the operator instead of commands of the payload.
//!
//! # Limitations
//!
//! - Process groups need Unix. On other systems, the engine kills only the processes that it started, and not their
//!   descendants.
//! - Control groups, limits, orphans and resource usage need Linux. Network traffic is not counted.
//! - Read-only folders need an isolation. Further commands in a running task need Linux on x86-64 or AArch64. Isolated
//!   tasks that do not use the network of the machine have proxies only where network namespaces are allowed.
//! - Isolation needs Linux on x86-64 or AArch64. Isolated tasks use the network of the machine, reach only other
//!   machines, or have no network.
//! - Without isolation and without control groups, processes that fork faster than they are found may survive their
//!   task. Without isolation, processes of a task that runs as root may survive too, because they can leave the control
//!   group and change their marks.

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
mod command_steps;
#[cfg(unix)]
mod commands;
mod companions;
mod config;
#[cfg(unix)]
mod containment;
mod disk_watch;
mod engine;
mod engine_state;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod exec;
#[cfg(target_os = "linux")]
mod exec_strings;
#[cfg(target_os = "linux")]
mod exit_notifier;
#[cfg(unix)]
mod group_limits;
mod high_memory;
mod input_copy;
mod isolation;
mod kill_sequence;
mod killable_run;
mod limits;
#[cfg(unix)]
mod marks;
#[cfg(target_os = "linux")]
mod memory_timer;
#[cfg_attr(not(target_os = "linux"), path = "memory_watch_portable.rs")]
mod memory_watch;
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
mod pid_cycle;
#[cfg(unix)]
mod proc;
#[cfg_attr(not(unix), path = "process_tree_portable.rs")]
mod process_tree;
mod program_lookup;
mod running_command;
mod sandbox;
mod sandbox_builder;
mod search_path;
mod settings;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(unix)]
mod start_canceller;
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
pub use high_memory::HighMemoryPolicy;
pub use isolation::{TaskIsolation, TaskNetwork};
pub use kill_sequence::KillSequence;
pub use limits::TaskLimits;
pub use sandbox_builder::ProcessSandboxBuilder;
