//! One command and all that it starts.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::{BoxError, TaskContext};
use runtime_worker::Exit;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::builder::ProcessBuilder;
use crate::engine::Shared;
use crate::family::{Family, Process};
use crate::ladder::Signal;
use crate::output::Output;

/// How long output may still come after all of a command was killed.
const DRAIN: Duration = Duration::from_secs(1);

/// When a command must be gone, once somebody wants it to end.
pub(crate) type Deadline = watch::Receiver<Option<Instant>>;

/// A command that runs.
pub(crate) struct Child {
    /// Dropped before the process, while the number of the group is still taken.
    family: Family,
    process: Process,
    output: Output,
    shared: Arc<Shared>,
    context: TaskContext,
}

impl Child {
    pub(crate) fn spawn(command: &[String], builder: &ProcessBuilder) -> io::Result<Self> {
        if command.iter().any(|part| part.contains('\0')) {
            let message = "a part of the command holds a zero byte, which no program can be told";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut spawn = Command::new(&command[0]);
        spawn
            .args(&command[1..])
            .current_dir(builder.folder.path())
            .env_clear()
            .envs(&builder.env);
        let folder = builder.folder.path().to_owned();
        let log = builder.context.log_drain();
        let (process, output, family) =
            Family::spawn(spawn, &builder.shared, folder, &builder.record, log)?;
        Ok(Self {
            process,
            output,
            family,
            shared: Arc::clone(&builder.shared),
            context: builder.context.clone(),
        })
    }

    /// Waits for the end, which a deadline brings about, and leaves nothing of the family alive.
    pub(crate) async fn run(mut self, mut deadline: Deadline) -> Result<Exit, BoxError> {
        let exit = tokio::select! {
            status = self.process.wait() => exit_of(status?),
            () = asked(&mut deadline) => {
                self.end(&mut deadline).await?;
                Exit::Killed
            }
        };
        // What the command started in the background must not slow down later tasks.
        let strays = self.family.end().await;
        if strays > 0 {
            self.context.log(format_args!(
                "Ended {strays} processes that the task left running"
            ));
        }
        self.output.drain(DRAIN).await?;
        self.explain(exit);
        Ok(exit)
    }

    /// Goes down the ladder, faster when the deadline comes nearer meanwhile.
    async fn end(&mut self, deadline: &mut Deadline) -> io::Result<()> {
        let within = time_to(deadline);
        for (signal, patience) in self.shared.settings.ladder.steps(within) {
            self.family.signal(signal);
            tokio::select! {
                status = self.process.wait() => return status.map(drop),
                () = tokio::time::sleep(patience) => {}
                () = nearer(deadline, patience) => {}
            }
        }
        self.family.signal(Signal::Kill);
        self.process.kill().await
    }

    /// Says in plain words what a bare signal 9 hides.
    fn explain(&self, exit: Exit) {
        // A shell tells of its child's signal 9 as 128 + 9.
        if !matches!(exit, Exit::Signal(9) | Exit::Code(137)) {
            return;
        }
        match self.family.killed_for_memory() {
            Some(true) => self.context.log_error(
                "The task used more memory than it may, and the operating system killed a process of it",
            ),
            Some(false) => self.context.log_error(
                "The machine ran out of memory, and the operating system killed a process, most likely of this task",
            ),
            None => {}
        }
    }
}

/// Waits for the wish to end. A sandbox that is gone has no wishes; it ends the process in another way.
async fn asked(deadline: &mut Deadline) {
    if deadline.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn time_to(deadline: &mut Deadline) -> Duration {
    let deadline = *deadline.borrow_and_update();
    deadline.map_or(Duration::ZERO, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    })
}

/// Waits until the deadline is so near that a step of this length does not fit any more.
async fn nearer(deadline: &mut Deadline, step: Duration) {
    loop {
        if deadline.changed().await.is_err() {
            return std::future::pending().await;
        }
        if time_to(deadline) < step {
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
