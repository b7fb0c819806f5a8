//! A child process with a log file.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The time limit for the exit of an idle program.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A running program, killed on drop.
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
}

impl Process {
    /// Starts a program whose standard error is appended to a file. Returns its standard output, too.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<(Self, ChildStdout)> {
        let log = File::options().append(true).create(true).open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
        let output = child.stdout.take().context("stdout is piped")?;
        let pid = child.id().context("the process was just started")?;
        Ok((Self { child, pid }, output))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the program as `kill -9` does.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends SIGTERM as a service manager does, and returns the exit status.
    pub(crate) async fn stop(mut self) -> Result<ExitStatus> {
        // `Child::kill` would send SIGKILL.
        let pid = self.pid.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        let exited = timeout(STOP_TIMEOUT, self.child.wait()).await;
        Ok(exited.context("the program did not exit after SIGTERM")??)
    }
}
