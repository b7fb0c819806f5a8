//! Further commands in a running task.

use std::fmt;
use std::io;

use async_trait::async_trait;
use runtime_core::{BoxError, TaskError};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::resolution::Exit;

/// A command to start in a running task.
#[derive(Clone, Debug)]
pub struct ExecCommand {
    /// The program, which is searched in the task's `PATH`, and its arguments.
    pub command: Vec<String>,
    /// The size of the command's terminal, or `None` for pipes.
    pub terminal: Option<PtySize>,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtySize {
    /// The number of lines.
    pub rows: u16,
    /// The number of characters in a line.
    pub columns: u16,
}

/// A command that was started in a running task.
#[non_exhaustive]
pub struct ExecProcess {
    /// The standard input, or the input of the terminal.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// The standard output, or everything that is written to the terminal.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// The standard error; `None` with a terminal.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Waits for the command. It ends the command on drop.
    pub control: Box<dyn ExecControl>,
}

impl ExecProcess {
    /// Creates a process without standard error.
    pub fn new(
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        stdout: impl AsyncRead + Send + Unpin + 'static,
        control: impl ExecControl + 'static,
    ) -> Self {
        Self {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: None,
            control: Box::new(control),
        }
    }

    /// Sets the standard error.
    #[must_use]
    pub fn with_stderr(mut self, stderr: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.stderr = Some(Box::new(stderr));
        self
    }
}

impl fmt::Debug for ExecProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecProcess").finish_non_exhaustive()
    }
}

/// The owner of a command that was started in a running task. Dropping it ends the command.
#[async_trait]
pub trait ExecControl: Send + Sync {
    /// Waits for the end of the command. Allows repeated calls.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] if the engine failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn wait(&self) -> Result<Exit, TaskError>;

    /// Changes the size of the terminal. Has no effect without one.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    fn resize(&self, size: PtySize) -> io::Result<()>;
}

/// The reason why a command could not be started in a task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The engine lacks the capability.
    #[error("the engine of this worker does not support further commands in a running task")]
    Unsupported,

    /// The task has ended, or no command of it runs.
    #[error("cannot start `{program}`: no command of the task runs")]
    Ended {
        /// The program.
        program: String,
    },

    /// The program cannot be started.
    #[error("cannot start `{program}` in the task")]
    Start {
        /// The program.
        program: String,
        /// The error of the engine.
        source: BoxError,
    },
}
