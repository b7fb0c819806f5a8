//! The start of a command, which blocks a thread until the program runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::output::OutputPump;
use crate::process_tree::{ChildProcess, ProcessTree, StartControl};
use crate::start_error::StartError;
use crate::task::PreparedCommand;

/// The time that a cancelled start has to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// A command that is being started. The start is cancelled on drop.
///
/// The kernel may take for ever to execute a program on a dead network file system. Neither a thread of the runtime
/// nor the start of another command waits for it.
pub(crate) struct StartingCommand {
    control: Arc<StartControl>,
    thread: JoinHandle<Result<Started, StartFailure>>,
}

type Started = (ProcessTree, ChildProcess, OutputPump);

/// A failed start, and its explanation for the author of the task.
pub(crate) struct StartFailure {
    pub(crate) error: StartError,
    pub(crate) reason: Option<String>,
}

impl StartingCommand {
    pub(crate) fn spawn(command: PreparedCommand) -> Self {
        let control = Arc::new(StartControl::default());
        let shared = Arc::clone(&control);
        // Its result is dropped if nothing waits for it, and kills the processes.
        let thread = tokio::task::spawn_blocking(move || {
            let origin = command.origin();
            ProcessTree::spawn(command, &shared).map_err(|error| StartFailure {
                reason: error.explain(&origin.program, &origin.folder, &origin.search_path),
                error,
            })
        });
        Self { control, thread }
    }

    /// Waits until the program runs.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn started(&mut self) -> Result<Started, StartFailure> {
        // The only possible error is a panic of the closure.
        (&mut self.thread).await.unwrap_or_else(|panic| {
            Err(StartFailure {
                error: StartError::prepare(panic.into()),
                reason: None,
            })
        })
    }

    /// Ends the start, and waits for its end if the kernel permits it.
    pub(crate) async fn cancel(mut self) {
        self.control.cancel();
        let _ = timeout(CANCEL_TIMEOUT, self.started()).await;
    }
}

impl Drop for StartingCommand {
    fn drop(&mut self) {
        self.control.cancel();
    }
}
