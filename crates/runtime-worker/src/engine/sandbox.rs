//! A running task.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskError;

use super::exec::{ExecCommand, ExecError, ExecProcess};
use super::results::ResultSet;

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

    /// Starts another command in the task: behind the same walls, with the same files and variables.
    ///
    /// It ends with the task at the latest, and when its [`control`](ExecProcess::control) is dropped.
    ///
    /// # Errors
    ///
    /// An [`ExecError`] if the engine lacks [`Capability::Exec`](super::Capability::Exec), the task has ended, or the
    /// program cannot be started.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the command is ended or not started.
    async fn exec(&self, command: ExecCommand) -> Result<ExecProcess, ExecError> {
        let _ = command;
        Err(ExecError::Unsupported)
    }
}
