//! The process of a command where a new process cannot borrow the memory of this one.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::Pid;

/// A process that was started. It is killed when this is dropped, and then waited for by tokio.
pub(crate) struct Process(tokio::process::Child);

impl Process {
    /// Starts a command that writes to `output`. `prepare` runs in its process and makes nothing but system calls.
    pub(crate) fn start(
        command: Command,
        output: OwnedFd,
        prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
        _: &Arc<Mutex<Processes>>,
    ) -> io::Result<Self> {
        let mut command = tokio::process::Command::from(command);
        command
            .stdin(std::process::Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        #[expect(
            unsafe_code,
            reason = "after a fork only async-signal-safe calls are allowed, and these are"
        )]
        // SAFETY: the closure makes only system calls and touches no lock and no allocator.
        unsafe {
            command.pre_exec(prepare);
        }
        command.spawn().map(Self)
    }

    /// Its number; `None` once it was waited for.
    pub(crate) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.0.id()?.cast_signed())
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.0.kill().await
    }
}

/// What tokio keeps by itself.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    pub(crate) started: BTreeSet<i32>,
}
