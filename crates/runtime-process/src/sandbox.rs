//! A running task, and its result.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_core::clock::instant_after;
use runtime_core::{BoxError, TaskError, error_chain};
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use runtime_worker::{ExecCommand, ExecError, ExecProcess};
use runtime_worker::{Exit, ExtractError, ResultSet, Sandbox};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::disk_watch::DiskWatch;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use crate::exec::ExecContext;
use crate::running_command::{KillDeadline, RunningCommand};
use crate::starting_command::StartFailure;
use crate::task::PreparedTask;
use crate::task_folder::TaskFolder;
use crate::walled_command::ExecRequest;

/// The exit code of a command that could not be started, as in a shell.
const COMMAND_NOT_FOUND: i32 = 127;

/// A running task. The commands run in a tokio task, so that they continue if a caller of `wait` is cancelled.
pub(crate) struct ProcessSandbox {
    deadline: watch::Sender<Option<Instant>>,
    /// `None` while the commands run. An error is stored as text, because each caller of `wait` gets a copy.
    result: watch::Receiver<Option<Result<Arc<ProcessResult>, Arc<str>>>>,
    run: Mutex<Option<JoinHandle<()>>>,
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    /// `None` if the engine of the task permits no further commands.
    exec: Option<ExecContext>,
}

impl ProcessSandbox {
    pub(crate) fn start(task: PreparedTask) -> Self {
        let (deadline, deadline_receiver) = watch::channel(None);
        let (sender, result) = watch::channel(None);
        #[cfg(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        ))]
        let has_exec = task.has_exec;
        #[cfg(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        ))]
        let (exec, requests) = ExecContext::of(&task);
        #[cfg(not(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )))]
        let (_, requests) = mpsc::channel(1);
        let run = tokio::spawn(async move {
            let ended = run_commands(&task, deadline_receiver, requests).await;
            // Before the end is known: no request may use the credentials of a task that has ended.
            drop((task.proxies, task.proxy_server));
            let result = ended.map(|exit| {
                Arc::new(ProcessResult {
                    exit,
                    folder: task.folder,
                })
            });
            // Fails if the sandbox was dropped.
            let _ = sender.send(Some(
                result.map_err(|error| Arc::from(error_chain(&*error))),
            ));
        });
        Self {
            deadline,
            result,
            run: Mutex::new(Some(run)),
            #[cfg(all(
                target_os = "linux",
                any(target_arch = "x86_64", target_arch = "aarch64")
            ))]
            exec: has_exec.then_some(exec),
        }
    }
}

/// Runs the commands in order until one fails.
async fn run_commands(
    task: &PreparedTask,
    deadline: KillDeadline,
    mut requests: mpsc::Receiver<ExecRequest>,
) -> Result<Exit, BoxError> {
    let mut exit = Exit::Code(0);
    let mut disk = DiskWatch::new(task.folder.path().to_owned(), task.limits.disk);
    for command in &task.commands {
        exit = match RunningCommand::start(command, task, deadline.clone()).await {
            Ok(Some(run)) => {
                run.finish(deadline.clone(), &mut requests, &mut disk)
                    .await?
            }
            Ok(None) => Exit::Killed,
            Err(failure) if failure.error.is_of_machine() => return Err(failure.error.into()),
            Err(StartFailure { error, reason }) => {
                let (program, error) = (&command[0], error.source);
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                task.context
                    .log_error(format_args!("cannot start `{program}`: {error}{reason}"));
                Exit::Code(COMMAND_NOT_FOUND)
            }
        };
        if !exit.success() {
            break;
        }
    }
    Ok(exit)
}

#[async_trait]
impl Sandbox for ProcessSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        let mut receiver = self.result.clone();
        match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(result))) => Ok(Arc::clone(result) as Arc<dyn ResultSet>),
            Ok(Some(Err(message))) => Err(TaskError::other(&**message)),
            _ => Err(TaskError::other("the task was dropped while it ran")),
        }
    }

    async fn kill(&self, within: Duration) {
        let requested = instant_after(Instant::now(), within);
        // A later request may shorten the deadline and never extends it.
        self.deadline.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(requested, |earlier| earlier.min(requested)));
        });
        let _ = self.result.clone().wait_for(Option::is_some).await;
    }

    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    async fn exec(&self, command: ExecCommand) -> Result<ExecProcess, ExecError> {
        let Some(exec) = &self.exec else {
            return Err(ExecError::Unsupported);
        };
        exec.start(command).await
    }
}

impl Drop for ProcessSandbox {
    fn drop(&mut self) {
        // Dropping the run drops its `RunningCommand`, which kills all processes.
        if let Some(run) = self.run.lock().take() {
            run.abort();
        }
    }
}

/// The exit of a task, and the folder with its files.
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
        self.folder.resolve(path)
    }
}
