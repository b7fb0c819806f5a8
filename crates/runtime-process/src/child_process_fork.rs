//! A child process on Unix systems other than Linux, where tokio starts it by fork.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::Pid;

use crate::marks::CommandMark;
use crate::start_canceller::StartCanceller;
use crate::start_error::StartError;

/// The standard files of a process.
pub(crate) struct StandardFiles<'a> {
    /// The standard input; `None` for none.
    pub(crate) input: Option<&'a Path>,
    /// The standard output and error.
    pub(crate) output: &'a OwnedFd,
}

/// A child process. It is killed on drop, and reaped by tokio.
pub(crate) struct ChildProcess(tokio::process::Child);

impl ChildProcess {
    /// Starts a command with these files. `prepare` runs in the new process and may only make system calls.
    pub(crate) fn start(
        command: Command,
        files: StandardFiles<'_>,
        prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
        _: &StartCanceller,
        mark: &Arc<CommandMark>,
        _: &Arc<AbandonedChildren>,
    ) -> Result<Self, StartError> {
        let clone = || files.output.try_clone().map_err(StartError::prepare);
        let input = files.input.map(File::open).transpose();
        let input = input.map_err(StartError::prepare)?;
        let mut command = tokio::process::Command::from(command);
        command
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(clone()?)
            .stderr(clone()?)
            .kill_on_drop(true);
        #[expect(
            unsafe_code,
            reason = "only async-signal-safe calls are allowed after a fork"
        )]
        // SAFETY: the closure only makes system calls: it takes no lock and does not allocate.
        unsafe {
            command.pre_exec(prepare);
        }
        let child = command.spawn().map(Self).map_err(StartError::execute)?;
        if let Some(pid) = child.pid() {
            mark.started(pid);
        }
        Ok(child)
    }

    /// Returns the process id, or `None` if the process was reaped.
    pub(crate) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.0.id()?.cast_signed())
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.0.kill().await
    }

    /// Has no effect: tokio reaps the process when it has ended.
    pub(crate) fn reap(&mut self) {}
}

/// Always empty, since tokio reaps the children.
#[derive(Debug, Default)]
pub(crate) struct AbandonedChildren;
