//! The traits that an engine implements to run tasks.
//!
//! When a worker starts, it [prepares](Engine::prepare) the engine. For each task, it creates a [`SandboxBuilder`] and
//! lets plugins configure it. Then it starts the [`Sandbox`], waits for its end and reads the [`ResultSet`]. It makes
//! these calls once and in this order. Plugins may call [`Sandbox::wait`] and [`Sandbox::kill`] in addition.
//!
//! A call that exceeds [`Timing::stage_timeout`](crate::Timing::stage_timeout) is dropped, and so is a
//! [`wait`](Sandbox::wait) for a killed task that has not ended in time; the run is then an internal error.
//!
//! The futures run on the thread that also reclaims the run. Use [`spawn_blocking`](tokio::task::spawn_blocking) for
//! work that blocks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Environment, MalformedPayloadError, Section, TaskError};
use serde_json::Value;

use crate::resolution::Exit;
use crate::task_run::TaskRun;

/// An optional capability of an engine: a method of [`SandboxBuilder`] that it implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// [`SandboxBuilder::set_env`].
    EnvVars,
    /// [`SandboxBuilder::attach_folder`].
    Folders,
    /// [`SandboxBuilder::attach_copy`].
    Copies,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnvVars => "environment variables",
            Self::Folders => "folders that outlive a task",
            Self::Copies => "input files",
        })
    }
}

/// Runs tasks, for example as processes, in containers or on devices.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    /// Returns a short name, such as `process`: the prefix of the monitor of each [`TaskRun`].
    fn name(&self) -> &'static str;

    /// Returns the JSON schema of the engine's part of the payload: an object schema with `properties`.
    fn payload_schema(&self) -> Value;

    /// Checks rules that a schema cannot express.
    ///
    /// The worker calls it even if the payload does not fit the schema, so that the author of a task gets all
    /// problems at once.
    ///
    /// # Errors
    ///
    /// All problems, each with the path of the value. Violations of the schema need not be repeated.
    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let _ = payload;
        Ok(())
    }

    /// Returns documentation for authors of tasks.
    fn documentation(&self) -> Vec<Section> {
        Vec::new()
    }

    /// Returns the optional capabilities of the engine. Default: none.
    ///
    /// A worker with a plugin that [requires](crate::Plugin::requires) another one cannot be built.
    fn capabilities(&self) -> &[Capability] {
        &[]
    }

    /// Prepares the engine for the tasks of a worker. The worker calls it once, before it claims. Default: nothing.
    ///
    /// # Errors
    ///
    /// A [`TaskError`]. The worker logs it and claims nevertheless: an engine that cannot run tasks returns an error
    /// for each task.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the worker is stopped.
    async fn prepare(&self, environment: &Environment) -> Result<(), TaskError> {
        let _ = environment;
        Ok(())
    }

    /// Returns what the engine can and cannot contain on this machine, for its operator: a line for each finding.
    /// Default: none.
    ///
    /// It may be called without [`prepare`](Self::prepare), while other workers run, and must not disturb them.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped.
    async fn containment(&self) -> Vec<String> {
        Vec::new()
    }

    /// Creates a builder for one task, whose payload fits the schema.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped and has to release everything that it set up.
    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError>;
}

/// The configuration of a sandbox before it starts.
///
/// By default, each optional method returns an error. An engine implements those that it supports, and lists them in
/// [`Engine::capabilities`].
#[async_trait]
pub trait SandboxBuilder: Send {
    /// Sets an environment variable, replacing an earlier value.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if the name is invalid.
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        let _ = (name, value);
        Err(unsupported(Capability::EnvVars))
    }

    /// Attaches a host folder at `target`, a path relative to the working directory of the task. The task's changes
    /// stay in the folder.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if `target` is invalid or already used.
    fn attach_folder(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        let _ = (source, target);
        Err(unsupported(Capability::Folders))
    }

    /// Attaches a private copy of a host file or folder at `target`, a path relative to the working directory of the
    /// task.
    ///
    /// An engine may defer the copy until [`start`](Self::start), so `source` must exist until then.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if `target` is invalid or already used.
    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        let _ = (source, target);
        Err(unsupported(Capability::Copies))
    }

    /// Starts the task.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped and has to end everything that it started.
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError>;
}

fn unsupported(capability: Capability) -> MalformedPayloadError {
    MalformedPayloadError::new(format!(
        "the engine of this worker does not support {capability}"
    ))
}

/// A running task. Dropping the last reference ends it; the worker drops its reference on a thread that may block.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Waits until the task has ended, by itself or by [`kill`](Self::kill). Allows concurrent callers.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] if the engine failed. The failure of the task itself is part of the result.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError>;

    /// Ends the task if it still runs, and returns when all of its parts have ended. Allows repeated calls.
    ///
    /// An engine may ask the task to exit first, but must have ended it after `within`. An engine that takes
    /// [`Timing::hang_timeout`](crate::Timing::hang_timeout) longer is given up: the run is resolved, and the worker stops.
    ///
    /// # Cancel safety
    ///
    /// The task is ended even if the future is dropped.
    async fn kill(&self, within: Duration);
}

/// The results of an ended task. Dropping it removes the task's files; the worker drops it on a thread that may block.
#[async_trait]
pub trait ResultSet: Send + Sync {
    /// Returns the exit status of the task.
    fn exit(&self) -> Exit;

    /// Resolves a path of the task to a path on this machine.
    ///
    /// The result must contain no symbolic links, as after `canonicalize`. Uploads do not follow links, because
    /// processes that the task left behind may create some at any time.
    ///
    /// # Errors
    ///
    /// An [`ExtractError`] if the path does not exist or is outside of the task's files.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError>;
}

/// The reason why a path of a task could not be extracted. `path` is as the task's author wrote it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The path does not exist.
    #[error("`{path}` does not exist")]
    Missing {
        /// The requested path.
        path: String,
    },

    /// The path is outside of the task's files.
    #[error("`{path}` leads out of the folder of the task")]
    Outside {
        /// The requested path.
        path: String,
    },

    /// The operating system denied access.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The requested path.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
}
