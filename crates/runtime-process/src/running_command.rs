//! One running command of a task, with every process that it starts.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use runtime_core::{BoxError, TaskContext};
use runtime_worker::Exit;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kill_sequence::{KillSequence, KillSignal};
use crate::output::OutputPump;
use crate::process_tree::{ChildProcess, ProcessTree};
use crate::task::PreparedTask;

/// The time for the last output to reach the log after all processes of a command were killed.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// The exit codes and signals of a process that was killed with `SIGKILL`. A shell reports the death of its child as
/// 128 plus the signal.
const KILLED: [Exit; 2] = [Exit::Signal(9), Exit::Code(137)];

/// The time by which a command must have ended; `None` as long as it may run.
pub(crate) type KillDeadline = watch::Receiver<Option<Instant>>;

/// A running command. All its processes are killed when this is dropped.
pub(crate) struct RunningCommand {
    // Declared before `child`, so that it is dropped first: as long as the leader is not reaped, the kernel does
    // not reuse its process group id.
    tree: ProcessTree,
    child: ChildProcess,
    output: OutputPump,
    kill_sequence: KillSequence,
    context: TaskContext,
}

impl RunningCommand {
    pub(crate) fn spawn(command: &[String], task: &PreparedTask) -> io::Result<Self> {
        if command.iter().any(|argument| argument.contains('\0')) {
            let message = "an argument contains a NUL byte";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut spawn = Command::new(&command[0]);
        spawn
            .args(&command[1..])
            .current_dir(task.folder.path())
            .env_clear()
            .envs(&task.env);
        let (tree, child, output) = ProcessTree::spawn(spawn, task)?;
        Ok(Self {
            tree,
            child,
            output,
            kill_sequence: task.engine.settings.kill_sequence,
            context: task.context.clone(),
        })
    }

    /// Waits until the command has ended by itself or was stopped by the deadline, then kills its remaining processes.
    pub(crate) async fn finish(mut self, mut deadline: KillDeadline) -> Result<Exit, BoxError> {
        let exit = tokio::select! {
            status = self.child.wait() => exit_of(status?),
            () = kill_requested(&mut deadline) => {
                self.stop(&mut deadline).await?;
                Exit::Killed
            }
        };
        // Background processes must not slow down later tasks, and hold the output pipe open.
        let orphans = self.tree.kill_remaining().await;
        if orphans > 0 {
            self.context.log(format_args!(
                "Killed {orphans} processes that the task left running"
            ));
        }
        self.output.finish(OUTPUT_TIMEOUT).await?;
        // A plain "signal 9" does not show that memory ran out.
        if KILLED.contains(&exit)
            && let Some(explanation) = self.tree.oom_explanation()
        {
            self.context.log_error(explanation);
        }
        Ok(exit)
    }

    /// Sends the stop signals. A timeout is cut short if the deadline moves closer than its end.
    async fn stop(&mut self, deadline: &mut KillDeadline) -> io::Result<()> {
        let budget = remaining(deadline);
        for (signal, timeout) in self.kill_sequence.steps(budget) {
            self.tree.signal(signal);
            tokio::select! {
                status = self.child.wait() => return status.map(drop),
                () = tokio::time::sleep(timeout) => {}
                () = deadline_within(deadline, timeout) => {}
            }
        }
        self.tree.signal(KillSignal::Kill);
        self.child.kill().await
    }
}

/// Waits for a deadline. Pending forever if the sandbox was dropped, since that aborts the run anyway.
async fn kill_requested(deadline: &mut KillDeadline) {
    if deadline.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn remaining(deadline: &mut KillDeadline) -> Duration {
    let deadline = *deadline.borrow_and_update();
    deadline.map_or(Duration::ZERO, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    })
}

/// Waits until a change of the deadline leaves less time than `timeout`.
async fn deadline_within(deadline: &mut KillDeadline, timeout: Duration) {
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
fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;

    status
        .code()
        .map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code)
}

#[cfg(not(unix))]
fn exit_of(status: ExitStatus) -> Exit {
    Exit::Code(status.code().unwrap_or(1))
}
