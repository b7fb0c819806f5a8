//! A child process that the engine starts, waits for and reaps itself.
//!
//! `std` and tokio can wait only for children that they started themselves, but this engine starts its children by
//! `vfork`.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, kill_process, waitid, waitpid,
};

use crate::exit_notifier::ExitNotifier;
use crate::marks::CommandMark;
use crate::start_canceller::StartCanceller;
use crate::start_error::StartError;
use crate::vfork;

/// The standard files of a process.
pub(crate) struct StandardFiles<'a> {
    /// The standard input; `None` for none.
    pub(crate) input: Option<&'a Path>,
    /// The standard output and error.
    pub(crate) output: &'a OwnedFd,
}

impl StandardFiles<'_> {
    fn open(&self) -> io::Result<[OwnedFd; 3]> {
        let input = File::open(self.input.unwrap_or(Path::new("/dev/null")))?;
        // `try_clone` returns a number above 2, so that no file replaces another one that is still needed, even if the
        // worker was started without standard files.
        Ok([
            OwnedFd::from(input).try_clone()?,
            self.output.try_clone()?,
            self.output.try_clone()?,
        ])
    }
}

/// A child process. It is killed if it is dropped before it has ended.
///
/// After its end, it stays a zombie until it is [reaped](Self::reap). Until then, the kernel does not reuse its pid,
/// which is also the id of its session and process group.
pub(crate) struct ChildProcess {
    pid: Pid,
    /// Created by the first wait.
    exit_notifier: Option<ExitNotifier>,
    /// The exit status once the process has ended.
    status: Option<ExitStatus>,
    is_reaped: bool,
    /// While it exists, only this handle reaps the process.
    mark: Arc<CommandMark>,
    abandoned: Arc<AbandonedChildren>,
}

impl ChildProcess {
    /// Starts a command with these files. Blocks until its program runs, or until `control` ends the start.
    ///
    /// `prepare` runs in the new process and may only make system calls.
    pub(crate) fn start(
        command: Command,
        files: StandardFiles<'_>,
        prepare: impl FnMut() -> io::Result<()>,
        control: &StartCanceller,
        mark: &Arc<CommandMark>,
        abandoned: &Arc<AbandonedChildren>,
    ) -> Result<Self, StartError> {
        abandoned.reap();
        let files = files.open().map_err(StartError::prepare)?;
        let pid = vfork::spawn(&command, &files, control, prepare)?;
        mark.started(pid);
        Ok(Self {
            pid,
            exit_notifier: None,
            status: None,
            is_reaped: false,
            mark: Arc::clone(mark),
            abandoned: Arc::clone(abandoned),
        })
    }

    /// Returns the process id, or `None` if the process was reaped.
    pub(crate) fn pid(&self) -> Option<Pid> {
        (!self.is_reaped).then_some(self.pid)
    }

    /// Waits until the process has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        // Before the first check: a signal that arrives earlier than its listener would be lost.
        if self.status.is_none() && self.exit_notifier.is_none() {
            self.exit_notifier = Some(ExitNotifier::of(self.pid)?);
        }
        loop {
            // Also after a notice: it may be about another child, or about one whose tracer has to be told first.
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if let Some(notice) = &mut self.exit_notifier {
                notice.recv().await?;
            }
        }
    }

    /// Kills the process and waits for its end.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::KILL)?;
        }
        self.wait().await.map(drop)
    }

    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let status = waitid(WaitId::Pid(self.pid), options)?;
            self.status = status.as_ref().map(exit_status);
        }
        Ok(self.status)
    }

    /// Reaps the process, which has ended.
    pub(crate) fn reap(&mut self) {
        if self.status.is_some() && !self.is_reaped {
            // Fails only if something else in this process has reaped it.
            let _ = waitpid(Some(self.pid), WaitOptions::NOHANG);
            self.is_reaped = true;
        }
    }
}

/// Converts a status to the form of `wait`, as `std` has it.
fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    const CORE_DUMPED: i32 = 0x80;
    let code = status.exit_status().map(|code| code << 8);
    let dumped = if status.dumped() { CORE_DUMPED } else { 0 };
    let signal = status.terminating_signal().map(|signal| signal | dumped);
    ExitStatus::from_raw(code.or(signal).unwrap_or_default())
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.reap();
        if let Some(pid) = self.pid() {
            // A destructor must not wait for the end, so the next start reaps it.
            let _ = kill_process(pid, Signal::KILL);
            self.abandoned.0.lock().push((pid, Arc::clone(&self.mark)));
        }
    }
}

/// Killed children whose handle was dropped. The next start reaps them.
#[derive(Debug, Default)]
pub(crate) struct AbandonedChildren(Mutex<Vec<(Pid, Arc<CommandMark>)>>);

impl AbandonedChildren {
    fn reap(&self) {
        let mut abandoned = self.0.lock();
        abandoned.retain(|(pid, _)| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::marks::OwningWorker;
    use crate::proc;

    fn start(arguments: &[&str], abandoned: &Arc<AbandonedChildren>) -> ChildProcess {
        let output = File::open("/dev/null").expect("it can be opened").into();
        let mut command = Command::new(arguments[0]);
        command.args(&arguments[1..]);
        let prepare = || Ok(());
        let control = StartCanceller::default();
        let owner = OwningWorker::of(std::env::temp_dir().as_path()).expect("the folder exists");
        let mark = Arc::new(CommandMark::new(&owner, Path::new("task")));
        let files = StandardFiles {
            input: None,
            output: &output,
        };
        let child = ChildProcess::start(command, files, prepare, &control, &mark, abandoned);
        child.expect("the program exists")
    }

    fn state(pid: Pid) -> Option<char> {
        proc::stat(pid.as_raw_nonzero().get()).map(|stat| stat.state)
    }

    #[tokio::test]
    async fn dropped_child_is_reaped_by_next_start() -> io::Result<()> {
        let abandoned = Arc::default();
        let dropped = start(&["sleep", "600"], &abandoned);
        let pid = dropped.pid;
        drop(dropped);
        let limit = Instant::now() + Duration::from_secs(60);
        while state(pid) != Some('Z') {
            assert!(Instant::now() < limit, "the dropped child is not killed");
            tokio::task::yield_now().await;
        }
        let mut next = start(&["true"], &abandoned);
        assert_eq!(state(pid), None);
        next.wait().await?;
        assert!(abandoned.0.lock().is_empty());
        Ok(())
    }

    #[tokio::test]
    async fn wait_can_be_repeated_and_reaps_nothing() -> io::Result<()> {
        let mut child = start(&["true"], &Arc::default());
        assert!(child.wait().await?.success());
        assert!(child.wait().await?.success());
        assert_eq!(state(child.pid), Some('Z'));
        child.reap();
        assert_eq!((state(child.pid), child.pid()), (None, None));
        Ok(())
    }

    #[tokio::test]
    async fn exit_statuses_are_those_of_std() -> io::Result<()> {
        for script in ["exit 0", "exit 3", "exit 255", "kill -9 $$", "kill -15 $$"] {
            let mut child = start(&["sh", "-c", script], &Arc::default());
            let expected = Command::new("sh").args(["-c", script]).status()?;
            assert_eq!(child.wait().await?, expected, "{script}");
        }
        Ok(())
    }
}
