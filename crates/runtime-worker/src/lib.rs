//! Claims tasks, runs them in an engine with plugins, and resolves each exactly once.
//!
//! | you have | you implement | you get |
//! | --- | --- | --- |
//! | a way to execute tasks | [`Engine`] | claiming, reclaiming, cancelling, reporting |
//! | behaviour around tasks | [`Plugin`] | a call at each stage of a task |
//! | processes of this machine | nothing: `ProcessEngine` of `runtime-process` | a worker for commands |
//!
//! [`plugins`] has the standard ones: log, artifacts, caches and mounts, environment, time limit, exit codes,
//! use of resources, and what stops a worker that is idle, broken or stuck.
//!
//! # What the worker takes care of
//!
//! - It claims while there is a free slot and the [`Admission`] allows it, and drops a claim in flight only when the worker must stop at once.
//! - It extends the claim while a task runs, through failures of the queue, until the claim is really lost.
//! - It looks for cancellations, and treats a conflict at any time as the end of its part in the run.
//! - It resolves each run once. The first reason to stop wins. A worker that must stop reports before it uploads.
//! - A panic in an engine or plugin is an internal error of that task, with an incident in log and monitor.
//!
//! # Example
//!
//! A plugin that writes a line into every log:
//!
//! ```
//! use async_trait::async_trait;
//! use runtime_core::TaskError;
//! use runtime_worker::{Plugin, TaskPlugin, TaskRun};
//!
//! #[derive(Debug)]
//! struct Motto(&'static str);
//!
//! #[async_trait]
//! impl Plugin for Motto {
//!     fn name(&self) -> &'static str {
//!         "motto"
//!     }
//!
//!     async fn new_task_plugin(&self, run: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
//!         run.context.log(self.0);
//!         Ok(None) // There is nothing more to do for this task.
//!     }
//! }
//! ```

mod engine;
mod plugin;
mod record;
mod resolution;
mod run;
mod task_run;
mod worker;

#[cfg(feature = "config")]
pub mod config;
pub mod payload;
pub mod plugins;
#[cfg(feature = "signals")]
mod signals;
#[cfg(feature = "runner")]
pub mod worker_runner;

pub use engine::{Engine, Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder};
pub use plugin::{Plugin, TaskPlugin, Verdict};
pub use record::{NoObserver, Observer, TaskEvent, TaskRecord, TaskReport, Usage};
pub use resolution::Resolution;
#[cfg(feature = "signals")]
pub use signals::Signals;
pub use task_run::TaskRun;
pub use worker::{
    Admission, AdmissionRefusal, AlwaysAdmit, BuildError, CollectorAdmission, Timing, Worker,
    WorkerBuilder, record_gc_metrics,
};
