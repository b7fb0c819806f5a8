//! A worker with the process engine and the standard plugins, on an embedded Taskcluster.
#![cfg(unix)]

mod disk;
mod kill;
mod mounts;
mod process;
mod support;
mod worker;
