//! The vocabulary that every part of a worker shares.
//!
//! This crate holds what engines and plugins are written against: the context of a task, the
//! environment that a worker hands out, errors and what each does, and *ports*: small traits for
//! everything that reaches outside. It opens no socket. Adapters live in crates of their own
//! (`runtime-client`, `runtime-monitoring`, `runtime-webhook`, ...), and the application picks them.
//!
//! # The life of a task
//!
//! 1. The worker claims a task through the [`Queue`](queue::Queue) port and makes a [`TaskContext`] of the claim;
//!    the [`TaskContextController`] stays with the worker.
//! 2. Engine and plugins get the context, a [`Monitor`] tagged with the task, and the [`Environment`].
//! 3. The engine writes to the [log drain](TaskContext::log_drain); any number of
//!    [readers](TaskContext::new_log_reader) follow, each at its own speed.
//! 4. Meanwhile the worker reclaims: new [`Credentials`] come in, and a conflict [stops](StopReason) the task.
//! 5. Plugins [upload](TaskContext::upload) artifacts, the log is closed, and the run is resolved once.
//! 6. What the task held is released by dropping it: hooks, handles, temporary folders.
//!
//! # Which part for what
//!
//! | you write | you use |
//! | --- | --- |
//! | an engine or a plugin | [`TaskContext`], [`Environment`], [`TaskError`] |
//! | a worker | [`TaskContextController`], [`LifeCycleTracker`], [`Services`] |
//! | an adapter | the ports: [`queue::Queue`], [`index::Index`], [`artifact::ArtifactUploader`], [`monitor::MonitorSink`], [`webhook::WebHookServer`], [`clock::Clock`] |
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

mod api;
mod credentials;
mod deployment;
mod environment;
mod error;
mod exception;
mod id;
mod lifecycle;
mod scopes;
mod secret;
mod section;
mod shutdown;
mod storage;
mod task;

pub mod artifact;
pub mod clock;
pub mod index;
pub mod monitor;
pub mod object;
#[cfg(unix)]
pub mod pre_exec;
pub mod purge_cache;
pub mod queue;
pub mod util;
pub mod webhook;

pub use api::{ApiError, ServiceError};
pub use credentials::{Credentials, CredentialsCell, CredentialsWatch};
pub use deployment::{Deployment, Services};
pub use environment::Environment;
pub use error::{BoxError, MalformedPayloadError, TaskError, error_chain};
pub use exception::ExceptionReason;
pub use id::{ParseTaskIdError, Run, TaskId, WorkerIdentity};
pub use jiff::Timestamp;
pub use lifecycle::{LifeCycleTracker, StopStage, Stoppable, StoppableOnce};
pub use monitor::Monitor;
pub use runtime_ioext::log;
pub use scopes::ScopeSet;
pub use secret::Secret;
pub use section::{Section, render_document};
pub use shutdown::{ShutdownListener, ShutdownManager, ShutdownNotice, ShutdownSource};
pub use storage::{
    OpenStorageError, ReserveStorageError, StorageOptions, StorageReservation, TemporaryFile,
    TemporaryFolder, TemporaryStorage, remove_tree,
};
pub use task::{LogDrain, LogOptions, StopReason, TaskContext, TaskContextController, TaskInfo};
