//! Claims tasks, runs them in an engine with plugins, and resolves each exactly once.
//!
//! | you have | you implement | you get |
//! | --- | --- | --- |
//! | a way to execute tasks | [`Engine`] | claiming, reclaiming, cancelling, reporting |
//! | behaviour around tasks | [`Plugin`] | a call at each stage of a task |
//! | processes of this machine | nothing: [`ProcessEngine`] | a worker for commands |
//!
//! [`plugins`] has the standard ones: log, artifacts, caches and mounts, environment, time limit, exit codes.

mod engine;
mod plugin;
mod record;
mod resolution;
mod run;
mod task_run;
mod worker;

pub mod payload;
pub mod plugins;
#[cfg(feature = "process")]
mod process;

pub use engine::{Engine, Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder};
pub use plugin::{Plugin, TaskPlugin, Verdict};
#[cfg(feature = "process")]
pub use process::ProcessEngine;
pub use record::{NoObserver, Observer, TaskEvent, TaskRecord, TaskReport};
pub use resolution::Resolution;
pub use task_run::TaskRun;
pub use worker::{
    Admission, AlwaysAdmit, BuildError, CollectorAdmission, Refusal, Worker, WorkerBuilder,
};
