//! A worker with the process engine and the standard plugins, on an embedded Taskcluster.
#![cfg(unix)]

mod claims;
mod disk;
mod faults;
mod mounts;
mod plugins;
mod small_plugins;
mod support;
mod worker;
mod worker_processes;
