//! The programs that a shell runs.

use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::BoxError;
use tokio::io::{AsyncRead, AsyncWrite};

/// Starts the programs of a [`Shell`](super::Shell) that do not run on a terminal of this process, such as inside of a task.
#[async_trait]
pub trait ShellStarter: Send + Sync + 'static {
    /// Starts a program on a terminal of this size.
    ///
    /// # Errors
    ///
    /// Any error. The client is notified that the shell cannot start, and the monitor receives the error.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped if the shell is dropped.
    async fn start(&self, rows: u16, columns: u16) -> Result<ShellProgram, BoxError>;
}

/// A program that a [`ShellStarter`] started.
#[non_exhaustive]
pub struct ShellProgram {
    /// Everything that is written to the terminal.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// The input of the terminal.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Waits for the program. Dropping it ends the program.
    pub control: Arc<dyn ShellControl>,
}

impl ShellProgram {
    /// Creates a program from its terminal and its control.
    pub fn new(
        output: impl AsyncRead + Send + Unpin + 'static,
        input: impl AsyncWrite + Send + Unpin + 'static,
        control: impl ShellControl + 'static,
    ) -> Self {
        Self {
            output: Box::new(output),
            input: Box::new(input),
            control: Arc::new(control),
        }
    }
}

impl fmt::Debug for ShellProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShellProgram").finish_non_exhaustive()
    }
}

/// The owner of a program. Dropping it ends the program.
#[async_trait]
pub trait ShellControl: Send + Sync {
    /// Waits for the end of the program and returns its status for the client, such as `exit code 0`.
    ///
    /// # Errors
    ///
    /// An error if the status is unknown.
    ///
    /// # Cancel safety
    ///
    /// Must be cancel safe.
    async fn wait(&self) -> io::Result<String>;

    /// Changes the size of the terminal.
    ///
    /// # Errors
    ///
    /// An error if the program has ended.
    fn resize(&self, rows: u16, columns: u16) -> io::Result<()>;
}
