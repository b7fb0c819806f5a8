//! An engine that runs a task as processes of this machine.
//!
//! Each task gets a folder of its own and an environment that holds nothing of the worker's. Its
//! commands run in a session and process group of their own, in a control group where that is
//! permitted, and carry a variable that names the task: nothing of it outlives the task, and what a
//! worker that was killed left is ended by the next. It is no security boundary: tasks run as the
//! worker's user.
//!
//! # Limitations
//!
//! The engine needs Unix for most of this; elsewhere it ends only the process that it started. Processes that
//! left their group and the use of resources are seen on Linux only. Network traffic is not counted.

#[cfg(target_os = "linux")]
mod borrow;
mod builder;
#[cfg(unix)]
mod cgroup;
mod child;
mod config;
mod copy;
mod engine;
#[cfg_attr(not(unix), path = "family_elsewhere.rs")]
mod family;
mod folder;
mod ladder;
mod output;
mod payload;
#[cfg(unix)]
mod proc;
mod sandbox;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod start;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "start_elsewhere.rs"]
mod start;
#[cfg(unix)]
mod strays;
#[cfg(unix)]
mod usage;

pub use config::ProcessConfig;
pub use engine::ProcessEngine;
pub use ladder::StopSignals;
