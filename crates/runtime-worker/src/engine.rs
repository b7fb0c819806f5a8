//! How a task is executed: what an engine implements.
//!
//! For each task the worker asks the [`Engine`] for a [`SandboxBuilder`], lets plugins set it up,
//! starts it, waits on the [`Sandbox`], and reads the [`ResultSet`]. The calls come in that order
//! and never twice, but for [`Sandbox::wait`] and [`Sandbox::kill`], which plugins may call too.
//!
//! The futures share a thread with what keeps the claim of the task alive: work that blocks belongs
//! into [`spawn_blocking`](tokio::task::spawn_blocking).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, Section, TaskError};
use serde_json::Value;

use crate::TaskRun;

/// A way to execute tasks: a process, a container, a device.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    /// The JSON schema of the part of the payload that the engine reads: an object schema with `properties`.
    fn payload_schema(&self) -> Value;

    /// What authors of tasks must know.
    fn documentation(&self) -> Vec<Section> {
        Vec::new()
    }

    /// Makes a builder for one task. The payload already fits the schema.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped; whatever was set up must go with it.
    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError>;
}

/// What a plugin brings into a sandbox before it starts.
///
/// The methods with a default refuse: an engine implements those that it can.
#[async_trait]
pub trait SandboxBuilder: Send {
    /// Sets an environment variable. The last call for a name wins.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if the name cannot be one.
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        let _ = (name, value);
        Err(unsupported("environment variables"))
    }

    /// Makes a folder of this machine appear at `target`, a path relative to where the task starts.
    /// What the task writes there stays in the folder.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if `target` is no such path or is taken.
    fn attach_folder(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        let _ = (source, target);
        Err(unsupported("folders that outlive a task"))
    }

    /// Puts a copy of a file of this machine, or of a folder with all that is in it, at `target`, a path
    /// relative to where the task starts. What the task changes there is its own.
    ///
    /// The copy may be made when the task [starts](Self::start), so `source` has to stay until then.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if `target` is no such path or is taken.
    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        let _ = (source, target);
        Err(unsupported("files that are brought in"))
    }

    /// Starts the task.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped; whatever was started must end.
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError>;
}

fn unsupported(what: &str) -> MalformedPayloadError {
    MalformedPayloadError::new(format!("the engine of this worker does not support {what}"))
}

/// A task that runs. Dropping the last reference ends it; the worker drops its own where that may block.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Waits until the task has ended, by itself or by [`kill`](Self::kill). Several may wait at once.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] if the engine failed. That the task failed is in the result.
    ///
    /// # Cancel safety
    ///
    /// Safe: it can be called again.
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError>;

    /// Ends the task if it still runs, and returns when all of it is gone. May be called many times.
    ///
    /// An engine that can asks politely first, and leaves nothing alive after `within`: a worker that
    /// stops has little time.
    ///
    /// # Cancel safety
    ///
    /// The end was asked for even if the future is dropped.
    async fn kill(&self, within: Duration);
}

/// What a task that ended left behind. Dropping it removes what it holds; the worker drops its own where that may
/// block.
#[async_trait]
pub trait ResultSet: Send + Sync {
    /// How the task ended.
    fn exit(&self) -> Exit;

    /// Gives a path on this machine for a path of the task's: one without links, as `canonicalize` gives, because
    /// what uploads it follows none. What the task left running may put some there at any time.
    ///
    /// # Errors
    ///
    /// An [`ExtractError`] if there is no such thing or it is not the task's to give.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError>;
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// With this code; 0 is success.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Because the worker ended it.
    Killed,
}

impl Exit {
    /// Reports whether the task succeeded by its own account.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The exit code, if there is one.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(_) | Self::Killed => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Killed => f.write_str("a kill by the worker"),
        }
    }
}

/// A path of the task's could not be given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// There is nothing at the path.
    #[error("there is nothing at `{path}`")]
    Missing {
        /// The path, as the task's author wrote it.
        path: String,
    },

    /// The path leads out of what the task owns.
    #[error("`{path}` leads out of the folder of the task")]
    Outside {
        /// The path, as the task's author wrote it.
        path: String,
    },

    /// The operating system refused.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The path, as the task's author wrote it.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}
