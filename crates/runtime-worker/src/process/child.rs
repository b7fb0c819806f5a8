//! One process and all that it starts.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use runtime_core::BoxError;
use tokio::process::Command;
use tokio::sync::watch;

use super::builder::ProcessBuilder;
use super::output::Output;
use crate::engine::Exit;

/// How long output may still come after a process ended and its group was killed.
const DRAIN: Duration = Duration::from_secs(1);

/// A process that runs in a group of its own.
pub(super) struct Child {
    process: tokio::process::Child,
    group: Group,
    output: Output,
}

impl Child {
    pub(super) fn spawn(command: &[String], builder: &ProcessBuilder) -> io::Result<Self> {
        let mut spawn = Command::new(&command[0]);
        spawn
            .args(&command[1..])
            .current_dir(builder.folder.path())
            .env_clear()
            .envs(&builder.env);
        spawn.stdin(std::process::Stdio::null()).kill_on_drop(true);
        #[cfg(unix)]
        spawn.process_group(0);
        let (process, output) = Output::spawn(spawn, builder.context.log_drain())?;
        let group = Group(process.id());
        Ok(Self {
            process,
            group,
            output,
        })
    }

    /// Waits for the end, which `killed` brings about, and leaves nothing of the group alive.
    pub(super) async fn run(
        mut self,
        killed: watch::Receiver<bool>,
        grace: Duration,
    ) -> Result<Exit, BoxError> {
        let ended = tokio::select! {
            status = self.process.wait() => exit_of(status?),
            () = asked(killed) => {
                self.end(grace).await?;
                Exit::Killed
            }
        };
        // What the process started in the background must not slow down later tasks.
        self.group.end();
        self.output.drain(DRAIN).await?;
        Ok(ended)
    }

    async fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.group.signal(Signal::Terminate);
        match tokio::time::timeout(grace, self.process.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.group.signal(Signal::Kill);
                self.process.kill().await?;
                self.process.wait().await
            }
        }
    }
}

/// Waits for the wish to end. A sandbox that is gone has no wishes; it ends the process in another way.
async fn asked(mut killed: watch::Receiver<bool>) {
    if killed.wait_for(|killed| *killed).await.is_err() {
        std::future::pending::<()>().await;
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

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Kill,
}

/// The process group that a child leads. What is left of it is killed on drop.
struct Group(Option<u32>);

impl Group {
    /// Kills what is left, and forgets the number, which may soon be another group's.
    fn end(&mut self) {
        self.signal(Signal::Kill);
        self.0 = None;
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        use rustix::process::{Pid, Signal as Unix, kill_process_group};

        let signal = match signal {
            Signal::Terminate => Unix::TERM,
            Signal::Kill => Unix::KILL,
        };
        if let Some(pid) = self.0.and_then(|id| Pid::from_raw(id.cast_signed())) {
            // That the group is gone already is what we want.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Without groups there is only the process itself, which tokio ends.
    #[cfg(not(unix))]
    fn signal(&self, _: Signal) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
    }
}
