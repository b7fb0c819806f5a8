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

mod builder;
mod exec;
mod files;
mod results;
mod sandbox;

use std::fmt;

use async_trait::async_trait;
use runtime_core::{Environment, MalformedPayloadError, Section, TaskError};
use serde_json::Value;

pub use self::builder::{FolderAccess, SandboxBuilder};
pub use self::exec::{ExecCommand, ExecControl, ExecError, ExecProcess, PtySize};
pub use self::files::{ExtractError, FolderWalk, RemoteFile, TaskFile, WalkedFile};
pub use self::results::ResultSet;
pub use self::sandbox::Sandbox;
use crate::task_run::TaskRun;

/// An optional capability of an engine: a method that it implements, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// [`SandboxBuilder::set_env`].
    EnvVars,
    /// [`SandboxBuilder::attach_folder`] with [`FolderAccess::ReadWrite`].
    Folders,
    /// [`SandboxBuilder::attach_folder`] with [`FolderAccess::ReadOnly`].
    ReadOnlyFolders,
    /// [`SandboxBuilder::attach_copy`].
    Copies,
    /// [`SandboxBuilder::attach_proxy`].
    Proxies,
    /// [`Sandbox::exec`].
    Exec,
}

impl Capability {
    /// Returns the error of an engine that lacks this capability.
    #[must_use]
    pub fn refusal(self) -> MalformedPayloadError {
        MalformedPayloadError::new(format!("the engine of this worker does not support {self}"))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnvVars => "environment variables",
            Self::Folders => "folders that outlive a task",
            Self::ReadOnlyFolders => "read-only folders",
            Self::Copies => "input files",
            Self::Proxies => "proxies for a task",
            Self::Exec => "further commands in a running task",
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
