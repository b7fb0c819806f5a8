//! Workers with the process engine on an embedded Taskcluster.
#![cfg(unix)]

mod cgroups;
mod commands;
mod support;
