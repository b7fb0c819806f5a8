//! The shared vocabulary of a worker: task context, environment, errors and service ports.
//!
//! Engines and plugins are written against this crate. It contains the context of a task, the
//! environment that a worker provides, the errors with their effects, and *ports*: small traits for
//! everything outside the process. The crate opens no socket: implementations of the ports live in
//! `runtime-client`, `runtime-monitoring`, `runtime-webhook` and others, and the application chooses
//! among them.
//!
//! Terms such as *run*, *claim* or *verdict* are defined in `docs/glossary.md` of the repository.
//!
//! # The life of a task
//!
//! 1. The worker claims a task through the [`Queue`](queue::Queue) port and creates a [`TaskContext`]
//!    from the claim. It keeps the [`TaskContextController`], which stops the task.
//! 2. Engine and plugins receive the context, a [`Monitor`] tagged with the task, and the [`Environment`].
//! 3. The engine writes to the [log drain](TaskContext::log_drain). Any number of
//!    [readers](TaskContext::new_log_reader) follow the log, each at its own speed.
//! 4. Meanwhile the worker reclaims the task. Each reclaim replaces the [`Credentials`]; if the
//!    queue refuses, the run belongs to another worker, and the task is [stopped](StopReason).
//! 5. Plugins [upload](TaskContext::upload) artifacts, the worker closes the log and resolves the run.
//! 6. Dropping the hooks, handles and temporary folders of the task releases them.
//!
//! # Where to start
//!
//! | you write | you use |
//! | --- | --- |
//! | an engine or a plugin | [`TaskContext`], [`Environment`], [`TaskError`] |
//! | a worker | [`TaskContextController`], [`LifeCycleTracker`], [`Services`] |
//! | an adapter | the ports: [`queue::Queue`], [`index::Index`], [`object::Objects`], [`purge_cache::PurgeCache`], [`Deployment`], [`artifact::ArtifactUploader`], [`RequestAuthorizer`], [`monitor::MonitorSink`], [`webhook::WebHookServer`], [`clock::Clock`] |
//!
//! # Example
//!
//! ```
//! use runtime_core::{MalformedPayloadError, ScopeSet, TaskError};
//!
//! fn check(scopes: &ScopeSet, wanted: &str) -> Result<(), TaskError> {
//!     if scopes.satisfies(wanted) {
//!         return Ok(());
//!     }
//!     Err(MalformedPayloadError::new(format!("`task.scopes` lacks `{wanted}`")).into())
//! }
//!
//! let scopes = ScopeSet::new(["secrets:get:project/*"]);
//! assert!(check(&scopes, "secrets:get:project/ci").is_ok());
//! assert!(check(&scopes, "secrets:get:other").unwrap_err().as_malformed_payload().is_some());
//! ```

mod api_error;
mod authorizer;
mod credentials;
mod deployment;
mod environment;
mod error;
mod exception;
mod id;
mod scopes;
mod secret;
mod section;
mod shutdown;
mod storage;
mod sys;
mod task;

#[cfg(all(test, runtime_loom))]
mod models;

pub mod artifact;
pub mod clock;
pub mod index;
pub mod lifecycle;
pub mod monitor;
pub mod object;
#[cfg(unix)]
pub mod pre_exec;
pub mod purge_cache;
pub mod queue;
pub mod util;
pub mod webhook;

pub use api_error::{ApiError, ServiceError};
pub use authorizer::{RequestAuthorizer, SignError};
pub use credentials::{Credentials, CredentialsCell, CredentialsWatch};
pub use deployment::{Deployment, Services};
pub use environment::{Environment, EnvironmentBuilder};
pub use error::{BoxError, MalformedPayloadError, TaskError};
pub use exception::ExceptionReason;
pub use id::{ParseTaskIdError, Run, TaskId, WorkerIdentity};
pub use jiff::Timestamp;
pub use lifecycle::{LifeCycleTracker, StopStage, Stoppable};
pub use monitor::Monitor;
pub use runtime_gc::error_chain;
pub use runtime_ioext::{TreeSize, log, measure_tree, remove_tree};
pub use scopes::ScopeSet;
pub use secret::Secret;
pub use section::{Section, render_document};
pub use shutdown::{ShutdownListener, ShutdownManager, ShutdownNotice, ShutdownSource};
pub use storage::{
    OpenStorageError, ReserveStorageError, StorageOptions, StorageReservation, TemporaryFile,
    TemporaryFolder, TemporaryStorage,
};
pub use task::{LogDrain, LogOptions, StopReason, TaskContext, TaskContextController, TaskInfo};
