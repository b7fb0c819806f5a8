//! The start of a command, which may hang.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::command_processes::CommandProcesses;
use crate::output::OutputPump;
use crate::process_tree::StartCanceller;
use crate::program_lookup::ProgramLookup;
use crate::start_error::StartError;
use crate::task::PreparedCommand;

/// The time that a cancelled start has to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// A command that is being started. The start is cancelled on drop.
///
/// The execution of a program on an unreachable network file system may never return. Neither a thread of tokio nor the
/// start of another command waits for it.
pub(crate) struct StartingCommand {
    control: Arc<StartCanceller>,
    start: JoinHandle<Result<Started, ExplainedStartError>>,
    /// A start behind walls is cancelled by dropping its future, others by `control`.
    is_walled: bool,
}

type Started = (CommandProcesses, OutputPump);

/// A failed start, with an explanation for the author of the task.
pub(crate) struct ExplainedStartError {
    pub(crate) error: StartError,
    pub(crate) reason: Option<String>,
}

impl ExplainedStartError {
    /// Searches an explanation, on a thread for blocking work.
    async fn explain(error: StartError, origin: ProgramLookup) -> Self {
        let explain = move || Self {
            reason: error.explain(&origin),
            error,
        };
        let explained = tokio::task::spawn_blocking(explain).await;
        // The only possible error is a panic of the closure.
        explained.unwrap_or_else(|panic| Self {
            error: StartError::prepare(panic.into()),
            reason: None,
        })
    }
}

impl StartingCommand {
    pub(crate) fn spawn(command: PreparedCommand) -> Self {
        let control = Arc::new(StartCanceller::default());
        let shared = Arc::clone(&control);
        let is_walled = command.walls.is_some();
        // Its result is dropped if nothing waits for it, and kills the processes.
        let start = tokio::spawn(async move {
            let origin = command.origin();
            match CommandProcesses::start(command, shared).await {
                Ok(started) => Ok(started),
                Err(error) => Err(ExplainedStartError::explain(error, origin).await),
            }
        });
        Self {
            control,
            start,
            is_walled,
        }
    }

    /// Waits until the program runs.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn started(&mut self) -> Result<Started, ExplainedStartError> {
        // The only possible error is a panic of the task.
        (&mut self.start).await.unwrap_or_else(|panic| {
            Err(ExplainedStartError {
                error: StartError::prepare(panic.into()),
                reason: None,
            })
        })
    }

    fn end(&self) {
        self.control.cancel();
        if self.is_walled {
            self.start.abort();
        }
    }

    /// Ends the start, and waits for its end if the kernel permits it.
    pub(crate) async fn cancel(mut self) {
        self.end();
        let _ = timeout(CANCEL_TIMEOUT, self.started()).await;
    }
}

impl Drop for StartingCommand {
    fn drop(&mut self) {
        self.end();
    }
}
