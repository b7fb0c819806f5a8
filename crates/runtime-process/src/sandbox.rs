//! A running task, and its result.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{BoxError, TaskError};
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use runtime_worker::{ExecCommand, ExecError, ExecProcess};
use runtime_worker::{Exit, ExtractError, ResultSet, Sandbox};
use tokio::sync::{mpsc, watch};

use crate::command_steps::CommandSteps;
use crate::disk_watch::DiskWatch;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use crate::exec::ExecContext;
use crate::killable_run::{KillDeadline, KillableRun};
use crate::running_command::RunningCommand;
use crate::starting_command::ExplainedStartError;
use crate::task::PreparedTask;
use crate::task_folder::TaskFolder;
use crate::walled_command::ExecRequest;

/// The exit code of a command that could not be started, as in a shell.
const COMMAND_NOT_FOUND: i32 = 127;

/// A running task.
pub(crate) struct ProcessSandbox {
    run: KillableRun<Arc<ProcessResult>>,
    steps: CommandSteps,
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    /// `None` if the engine of the task permits no further commands.
    exec: Option<ExecContext>,
}

impl ProcessSandbox {
    pub(crate) fn start(task: PreparedTask) -> Self {
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
        let (steps, ended) = CommandSteps::of(&task);
        let run = KillableRun::spawn(|deadline| async move {
            let exit = run_commands(&task, deadline, requests, &ended).await;
            // Before the end is known: no request may use the credentials of a task that has ended.
            drop((task.proxies, task.proxy_server));
            let folder = task.folder;
            exit.map(|exit| Arc::new(ProcessResult { exit, folder }))
        });
        Self {
            run,
            steps,
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
    ended: &watch::Sender<Vec<Option<String>>>,
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
            Err(ExplainedStartError { error, reason }) => {
                let (program, error) = (&command[0], error.source);
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                task.context
                    .log_error(format_args!("cannot start `{program}`: {error}{reason}"));
                Exit::Code(COMMAND_NOT_FOUND)
            }
        };
        let failure = (!exit.success()).then(|| exit.to_string());
        ended.send_modify(|ended| ended.push(failure));
        if !exit.success() {
            break;
        }
    }
    Ok(exit)
}

#[async_trait]
impl Sandbox for ProcessSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        tokio::select! {
            // The last step ends before the result.
            biased;
            result = self.steps.trace() => result,
            result = self.run.wait() => result.map(|it| it as Arc<dyn ResultSet>),
        }
    }

    async fn kill(&self, within: Duration) {
        self.run.kill(within).await;
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
