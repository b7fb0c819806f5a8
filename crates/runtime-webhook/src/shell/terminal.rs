//! Terminals and programs, of this process and of a starter.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pty_process::{OwnedWritePty, Size};
use tokio::io::AsyncWrite;
use tokio::process::Child;

use super::program::ShellControl;

/// The input of a terminal, which can be resized.
pub(super) trait TerminalInput: AsyncWrite + Send + Unpin {
    fn resize(&self, rows: u16, columns: u16) -> bool;
}

/// A program on a terminal.
pub(super) trait RunningProgram: Send {
    /// Waits for the end and returns the status.
    fn wait(&mut self) -> impl Future<Output = io::Result<String>> + Send;

    /// Ends the program.
    fn kill(&mut self) -> impl Future<Output = ()> + Send;
}

impl TerminalInput for OwnedWritePty {
    fn resize(&self, rows: u16, columns: u16) -> bool {
        Self::resize(self, Size::new(rows, columns)).is_ok()
    }
}

impl RunningProgram for Child {
    async fn wait(&mut self) -> io::Result<String> {
        Self::wait(self).await.map(|status| status.to_string())
    }

    async fn kill(&mut self) {
        // An error means that the program has exited.
        let _ = Self::kill(self).await;
    }
}

/// The input of a program that a starter started.
pub(super) struct StartedInput {
    pub(super) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) control: Arc<dyn ShellControl>,
}

impl TerminalInput for StartedInput {
    fn resize(&self, rows: u16, columns: u16) -> bool {
        self.control.resize(rows, columns).is_ok()
    }
}

impl AsyncWrite for StartedInput {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

/// A program that a starter started; `None` once it was killed.
pub(super) struct ControlledProgram(pub(super) Option<Arc<dyn ShellControl>>);

impl RunningProgram for ControlledProgram {
    async fn wait(&mut self) -> io::Result<String> {
        match &self.0 {
            Some(control) => control.wait().await,
            None => Ok("killed".to_owned()),
        }
    }

    async fn kill(&mut self) {
        // The last reference, since the input was dropped.
        self.0 = None;
    }
}
