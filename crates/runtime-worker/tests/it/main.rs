//! A worker with the process engine and the standard plugins, on an embedded Taskcluster.
#![cfg(unix)]

mod alone;
mod bad_hour;
mod claims;
mod disk;
mod hooks;
mod mounts;
mod plugins;
mod processes;
mod support;
mod worker;
