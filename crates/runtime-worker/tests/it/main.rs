//! Configuration, the worker-runner protocol, and workers with the process engine on an embedded Taskcluster.

#[cfg(unix)]
mod artifacts;
#[cfg(unix)]
mod claims;
mod config;
#[cfg(unix)]
mod conformance;
#[cfg(unix)]
mod disk;
#[cfg(unix)]
mod engine_contract;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod mounts;
#[cfg(unix)]
mod payload_schema;
mod plugins;
mod remote_files;
#[cfg(unix)]
mod small_plugins;
#[cfg(unix)]
mod support;
#[cfg(unix)]
mod task_run;
#[cfg(unix)]
mod taskcluster_proxy;
#[cfg(unix)]
mod traces;
#[cfg(unix)]
mod worker;
#[cfg(unix)]
mod worker_processes;
mod worker_runner;
