//! Claims tasks, runs them in an engine with plugins, and resolves each exactly once.
//!
//! | to add | implement | the worker provides |
//! | --- | --- | --- |
//! | a way to run tasks | [`Engine`] | claims, reclaims, cancellation, reports |
//! | behaviour around tasks | [`Plugin`] | a call at each stage of a task |
//!
//! `runtime-process` has an engine that runs commands as processes, and `runtime-app` a complete worker around an engine.
//! [`plugins`] contains the standard plugins: task log, artifacts, caches and inputs, environment variables, time limit,
//! exit codes, resource usage, and plugins that stop an idle, broken or hanging worker.
//!
//! # Guarantees
//!
//! - The worker claims while it has free capacity and every [admission](admission::Admission) allows it.
//! - It reclaims a running task through outages of the queue until the claim is definitely lost.
//! - It polls for cancellation, and treats a conflict in any request as the loss of the claim.
//! - It resolves each run once. The first stop reason wins. After an immediate stop it reports before it uploads.
//! - A panic in an engine or plugin, or a call that exceeds its [limit](Timing), is an internal error of that task, with an
//!   incident in its log and in the monitor.
//!
//! # How a run ends
//!
//! | type | created by | meaning | becomes |
//! | --- | --- | --- | --- |
//! | [`Exit`] | engine | exit code or signal of the task | the first [`Verdict`] |
//! | [`Verdict`] | engine result and plugins | success, failure or intermittent failure; the worst one counts | a [`Resolution`] |
//! | [`StopReason`](runtime_core::StopReason) | worker | why a run is stopped before it is reported | `RunError::Stopped` |
//! | [`TaskError`](runtime_core::TaskError) | engine, plugins | why a stage failed | `RunError::Failed` |
//! | `RunError` (internal) | the stages of a run | the reason for a missing verdict: `Stopped` or `Failed` | a [`Resolution`] |
//! | [`Resolution`] | worker | the report to the queue, or `Abandoned` if nothing is reported | part of the [`TaskReport`](report::TaskReport) |
//!
//! # Example
//!
//! A plugin that writes a line to every log:
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
//!         Ok(None) // No other stage of the task is needed.
//!     }
//! }
//! ```

mod blocking_gate;
mod delays;
mod engine;
mod error_limit;
mod exit_cause;
mod foreign_call;
mod into_engine;
mod max_life_time;
mod plugin;
mod problem;
mod resolution;
mod run;
mod schema_checker;
mod shared;
mod task_run;
mod timing;
mod unknown_keys;
mod worker;

pub mod admission;
#[cfg(feature = "config")]
pub mod config;
pub mod gc_metrics;
pub mod observer;
pub mod payload;
pub mod plugins;
pub mod report;
#[cfg(feature = "signals")]
mod signals;
#[cfg(feature = "worker-runner")]
pub mod worker_runner;

pub use blocking_gate::BlockingGate;
pub use engine::{
    Capability, Engine, ExecCommand, ExecControl, ExecError, ExecProcess, ExtractError,
    FolderAccess, FolderWalk, PtySize, RemoteFile, ResultSet, Sandbox, SandboxBuilder, TaskFile,
    WalkedFile,
};
pub use exit_cause::ExitCause;
pub use into_engine::IntoEngine;
pub use max_life_time::MaxLifeTime;
pub use plugin::{Plugin, TaskPlugin};
pub use resolution::{Exit, Resolution, Verdict};
#[cfg(feature = "signals")]
pub use signals::ShutdownSignals;
pub use task_run::TaskRun;
pub use timing::Timing;
pub use worker::{BuildError, Worker, WorkerBuilder};
