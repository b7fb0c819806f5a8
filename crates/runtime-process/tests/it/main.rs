//! Workers with the process engine on an embedded Taskcluster.
#![cfg(unix)]

mod cgroups;
mod commands;
mod containment;
mod escapes;
mod hanging_start;
mod isolation;
mod limits;
mod stops;
mod support;
