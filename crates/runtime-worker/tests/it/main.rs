//! A worker with the process engine and the standard plugins, on an embedded Taskcluster.
#![cfg(unix)]

mod bad_hour;
mod disk;
mod hooks;
mod kill;
mod mounts;
mod plugins;
mod process;
mod support;
mod worker;
