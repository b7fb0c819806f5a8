//! Workers with the process engine on an embedded Taskcluster.
#![cfg(unix)]

mod cgroups;
mod commands;
mod commands_engine;
mod containment;
mod escapes;
mod exec;
mod hanging_start;
mod high_memory;
mod isolation;
mod limits;
mod oom_kills;
mod proxies;
mod stops;
mod support;
mod task_shell;
