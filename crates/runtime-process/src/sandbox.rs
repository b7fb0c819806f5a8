//! A task that runs, and what it leaves.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_core::{BoxError, TaskError, error_chain};
use runtime_worker::{Exit, ExtractError, ResultSet, Sandbox};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::builder::ProcessBuilder;
use crate::child::{Child, Deadline};
use crate::folder::TaskFolder;

/// Runs the commands in a task of its own, so that they go on whoever waits.
pub(crate) struct ProcessSandbox {
    deadline: watch::Sender<Option<Instant>>,
    result: watch::Receiver<Option<Result<Arc<ProcessResult>, Arc<str>>>>,
    runner: Mutex<Option<JoinHandle<()>>>,
}

impl ProcessSandbox {
    pub(crate) fn start(builder: ProcessBuilder) -> Self {
        let (deadline, asked) = watch::channel(None);
        let (sender, result) = watch::channel(None);
        let runner = tokio::spawn(async move {
            let ended = run_commands(&builder, asked).await;
            let result = ended.map(|exit| {
                Arc::new(ProcessResult {
                    exit,
                    folder: builder.folder,
                })
            });
            // Nobody waits any more when the sandbox was dropped.
            let _ = sender.send(Some(
                result.map_err(|error| Arc::from(error_chain(&*error))),
            ));
        });
        Self {
            deadline,
            result,
            runner: Mutex::new(Some(runner)),
        }
    }
}

async fn run_commands(builder: &ProcessBuilder, deadline: Deadline) -> Result<Exit, BoxError> {
    let mut exit = Exit::Code(0);
    for command in &builder.commands {
        exit = match Child::spawn(command, builder) {
            Ok(child) => child.run(deadline.clone()).await?,
            Err(error) if is_lack(&error) => {
                let message = format!("this machine cannot start another process: {error}");
                return Err(message.into());
            }
            Err(error) => {
                builder
                    .context
                    .log_error(format_args!("cannot start `{}`: {error}", command[0]));
                // What a shell says of a command that it cannot find.
                Exit::Code(127)
            }
        };
        if !exit.success() {
            break;
        }
    }
    Ok(exit)
}

/// Whether the machine has no room for another process, which is no fault of the command.
#[cfg(unix)]
fn is_lack(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let lacks = [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| lacks.contains(&error))
}

#[cfg(not(unix))]
fn is_lack(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

#[async_trait]
impl Sandbox for ProcessSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        let mut receiver = self.result.clone();
        match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(result))) => Ok(Arc::clone(result) as Arc<dyn ResultSet>),
            Ok(Some(Err(message))) => Err(TaskError::other(&**message)),
            _ => Err(TaskError::other("the processes of the task were dropped")),
        }
    }

    async fn kill(&self, within: Duration) {
        let wanted = Instant::now() + within;
        self.deadline.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(wanted, |earlier| earlier.min(wanted)));
        });
        let _ = self.result.clone().wait_for(Option::is_some).await;
    }
}

impl Drop for ProcessSandbox {
    fn drop(&mut self) {
        if let Some(runner) = self.runner.lock().take() {
            runner.abort();
        }
    }
}

/// What the commands left.
struct ProcessResult {
    exit: Exit,
    folder: TaskFolder,
}

#[async_trait]
impl ResultSet for ProcessResult {
    fn exit(&self) -> Exit {
        self.exit
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        self.folder.find(path)
    }
}
