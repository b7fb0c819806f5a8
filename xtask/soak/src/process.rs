//! A child process with a log file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The time limit for the exit of an idle program.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for the exit of a program that a failed or stopped test ends.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of the signals to such a program: the first one stops a worker gracefully, the others immediately.
const DROP_SIGNAL_INTERVAL: Duration = Duration::from_millis(300);

/// A running program. A drop sends SIGTERM, so that a worker ends its tasks, and waits; after a time limit, it sends
/// SIGKILL.
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
}

impl Process {
    /// Returns a command that receives SIGTERM when this process ends, even by SIGKILL.
    pub(crate) fn command(program: &Path) -> Command {
        // The standard library sets no signal, and a closure between fork and exec would be unsafe code.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        command
    }

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
        self.terminate()?;
        let exited = timeout(STOP_TIMEOUT, self.child.wait()).await;
        Ok(exited.context("the program did not exit after SIGTERM")??)
    }

    /// Sends SIGTERM. `Child::kill` would send SIGKILL.
    fn terminate(&self) -> io::Result<()> {
        let mut kill = std::process::Command::new("kill");
        let kill = kill.args(["-TERM", &self.pid.to_string()]);
        kill.stderr(Stdio::null()).status().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let start = Instant::now();
        // `kill_on_drop` kills a program that still runs after the time limit.
        while self.is_running() && start.elapsed() < DROP_TIMEOUT {
            // Fails only if the program has just exited.
            let _ = self.terminate();
            thread::park_timeout(DROP_SIGNAL_INTERVAL);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn dropped_program_ends_by_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "trap 'echo ended; exit' TERM; echo started; while :; do sleep 0.1; done";
        let mut command = Process::command(Path::new("sh"));
        let command = command.args(["-c", script]);
        let started = Process::start(command, &folder.path().join("log"));
        let (process, mut output) = started.expect("a shell");
        let mut line = [0; 8];
        output.read_exact(&mut line).await.expect("a line");
        assert_eq!(&line, b"started\n");
        drop(process);
        let mut rest = String::new();
        output.read_to_string(&mut rest).await.expect("its end");
        assert_eq!(rest, "ended\n");
    }

    #[test]
    fn program_ends_with_its_parent() {
        let sleep = Process::command(Path::new("sleep"));
        let sleep = sleep.as_std();
        let mut parent = process::Command::new("sh");
        let parent = parent.args(["-c", r#""$@" 60 & echo $!; wait"#, "sh"]);
        let parent = parent.arg(sleep.get_program()).args(sleep.get_args());
        let mut parent = parent.stdout(Stdio::piped()).spawn().expect("a shell");
        let output = parent.stdout.take().expect("it is piped");
        let mut child = String::new();
        let read = BufReader::new(output).read_line(&mut child);
        read.expect("a process id");
        // Of the child, which is a shell, then `setpriv`, then `sleep`. An exited process has none.
        let arguments = format!("/proc/{}/cmdline", child.trim());
        let arguments = || std::fs::read(&arguments).unwrap_or_default();
        wait_until(|| arguments().starts_with(b"sleep\0"));
        parent.kill().expect("it runs");
        parent.wait().expect("a child");
        wait_until(|| arguments().is_empty());
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < limit, "not within 30 s");
            thread::yield_now();
        }
    }
}
