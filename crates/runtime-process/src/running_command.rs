//! One running command of a task, with all processes that it starts.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use runtime_core::{BoxError, TaskContext};
use runtime_worker::Exit;
use tokio::sync::mpsc;

use crate::command_processes::CommandProcesses;
use crate::companions::Companions;
use crate::disk_watch::DiskWatch;
use crate::kill_sequence::KillSequence;
use crate::killable_run::{KillDeadline, remaining};
use crate::memory_watch::WatchedCommandGuard;
use crate::output::OutputPump;
use crate::process_tree::KilledOrphans;
use crate::start_error::StartError;
use crate::starting_command::{ExplainedStartError, StartingCommand};
use crate::task::PreparedTask;
use crate::walled_command::ExecRequest;

/// The exit of a command that the worker killed because it used too much memory or disk space.
const KILLED: Exit = Exit::Signal(9);

/// A running command. All its processes are killed when this value is dropped.
pub(crate) struct RunningCommand {
    processes: CommandProcesses,
    companions: Companions,
    watched: WatchedCommandGuard,
    output: OutputPump,
    kill_sequence: KillSequence,
    context: TaskContext,
}

impl RunningCommand {
    /// Starts a command. Returns `None` if the deadline is set before its program runs.
    pub(crate) async fn start(
        command: &[String],
        task: &PreparedTask,
        mut deadline: KillDeadline,
    ) -> Result<Option<Self>, ExplainedStartError> {
        if command.iter().any(|argument| argument.contains('\0')) {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "an argument contains a NUL byte",
            );
            let (error, reason) = (StartError::execute(error), None);
            return Err(ExplainedStartError { error, reason });
        }
        let mut starting = StartingCommand::spawn(task.prepare(command));
        let (processes, output) = tokio::select! {
            started = starting.started() => started?,
            () = wait_for_deadline(&mut deadline) => {
                starting.cancel().await;
                return Ok(None);
            }
        };
        for limit in processes.missing_limits() {
            task.context.log(format_args!(
                "The command runs without the limit of {limit}, which this machine cannot have"
            ));
        }
        Ok(Some(Self {
            watched: processes.watch(&task.engine, task.ends_on_high_memory),
            processes,
            companions: Companions::new(),
            output,
            kill_sequence: task.engine.settings.kill_sequence,
            context: task.context.clone(),
        }))
    }

    /// Waits until the command exits, or stops it when a deadline is set. Then kills its remaining processes.
    pub(crate) async fn finish(
        mut self,
        mut deadline: KillDeadline,
        requests: &mut mpsc::Receiver<ExecRequest>,
        disk: &mut DiskWatch,
    ) -> Result<Exit, BoxError> {
        let mut exit = loop {
            tokio::select! {
                // A command that has ended by itself is not reported as killed.
                biased;
                status = self.processes.wait() => break exit_of(status?),
                () = wait_for_deadline(&mut deadline) => {
                    self.stop(&mut deadline).await?;
                    break Exit::Killed;
                }
                reason = must_end(&mut self.watched, disk) => {
                    self.context.log_error(reason);
                    self.processes.kill().await?;
                    break KILLED;
                }
                // The end of the command is noticed after the start of another one, which may hang.
                Some(request) = requests.recv() => {
                    let reason = tokio::select! {
                        () = self.processes.exec(request, self.companions.add()) => None,
                        () = wait_for_deadline(&mut deadline) => None,
                        reason = must_end(&mut self.watched, disk) => Some(reason),
                    };
                    if let Some(reason) = reason {
                        self.context.log_error(reason);
                        self.processes.kill().await?;
                        break KILLED;
                    }
                }
            }
        };
        // Before their control group: a process that ends together with its parent would stay a zombie.
        self.companions.end().await;
        // Before the output ends: a background process holds the pipe open, and would slow down later tasks.
        let KilledOrphans { killed, remaining } =
            self.processes.kill_remaining(self.watched.finish()).await;
        if killed > 0 {
            self.context.log(format_args!(
                "Killed {killed} processes that the task left running"
            ));
        }
        if remaining > 0 {
            self.context.log_error(format_args!(
                "{remaining} processes that the task left running cannot be ended"
            ));
        }
        if let Err(error) = self.output.finish().await {
            // The author of the task sees only this log. Without the end of the output, no verdict can be explained.
            self.context.log_error(&error);
            return Err(error.into());
        }
        // Short commands end before a measurement, and the last files of others are written after it.
        if exit.success() {
            tokio::select! {
                checked = disk.check() => if let Err(reason) = checked {
                    self.context.log_error(reason);
                    exit = KILLED;
                },
                () = wait_for_deadline(&mut deadline) => exit = Exit::Killed,
            }
        }
        // A plain "signal 9" does not show that memory ran out.
        if !exit.success() {
            for explanation in self.processes.explain_failure(exit) {
                self.context.log_error(explanation);
            }
        }
        Ok(exit)
    }

    /// Sends the stop signals until the leader exits. If the deadline moves, the timeout of a signal is shortened.
    ///
    /// Remaining processes of the group receive no further signals, because the caller kills them.
    async fn stop(&mut self, deadline: &mut KillDeadline) -> io::Result<()> {
        let budget = remaining(deadline);
        for (signal, timeout) in self.kill_sequence.steps(budget) {
            self.processes.signal(signal);
            // An earlier move of the deadline left less time.
            let timeout = timeout.min(remaining(deadline));
            tokio::select! {
                status = self.processes.wait() => return status.map(drop),
                () = tokio::time::sleep(timeout) => {}
                () = wait_for_less_time(deadline, timeout) => {}
            }
        }
        self.processes.kill().await
    }
}

/// Waits until the command uses too much memory or disk space, and returns the reason.
async fn must_end(watched: &mut WatchedCommandGuard, disk: &mut DiskWatch) -> String {
    tokio::select! {
        reason = watched.must_end() => reason,
        reason = disk.must_end() => reason,
    }
}

/// Waits until a deadline is set. Pending forever if the sandbox is dropped, which aborts the run.
async fn wait_for_deadline(deadline: &mut KillDeadline) {
    if deadline.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until a change of the deadline leaves less time than `timeout`.
async fn wait_for_less_time(deadline: &mut KillDeadline, timeout: Duration) {
    loop {
        if deadline.changed().await.is_err() {
            return std::future::pending().await;
        }
        if remaining(deadline) < timeout {
            return;
        }
    }
}

#[cfg(unix)]
pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;

    status
        .code()
        .map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code)
}

#[cfg(not(unix))]
pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    Exit::Code(status.code().unwrap_or(1))
}
