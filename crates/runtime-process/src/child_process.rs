//! A child process that the engine starts, waits for and reaps itself.
//!
//! `std` and tokio can wait only for children that they started themselves, and these are started by `vfork`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::signal::unix::{self, SignalKind};

use crate::vfork;

/// Runs `step` in a new process, which then ends, and returns its result.
pub(crate) fn try_in_child(mut step: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let null = || File::open("/dev/null").map(OwnedFd::from);
    let files = [null()?, null()?, null()?];
    // The process never executes a program: it ends with the error that the step succeeded.
    let end = || step().and(Err(Errno::CANCELED.into()));
    match vfork::spawn(&Command::new("/"), &files, end) {
        Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => Ok(()),
        other => other.map(drop),
    }
}

/// A child process. It is killed if it is dropped before it was reaped.
pub(crate) struct ChildProcess {
    pid: Pid,
    /// Receives a notification when any child of this process ends.
    sigchld: unix::Signal,
    /// The exit status once the process was reaped.
    status: Option<ExitStatus>,
    registry: Arc<Mutex<UnreapedChildren>>,
}

impl ChildProcess {
    /// Starts a command that writes to `output`. `prepare` runs in the new process and may only make system calls.
    pub(crate) fn start(
        command: Command,
        output: OwnedFd,
        prepare: impl FnMut() -> io::Result<()>,
        registry: &Arc<Mutex<UnreapedChildren>>,
    ) -> io::Result<Self> {
        // Before the start: a signal that arrives earlier than the listener would be lost.
        let sigchld = unix::signal(SignalKind::child())?;
        // The child moves these to 0, 1 and 2 in order. `try_clone` returns a number above 2, so that no move
        // overwrites a file that is still needed, even if the worker was started without standard files.
        let files = [
            OwnedFd::from(File::open("/dev/null")?).try_clone()?,
            output.try_clone()?,
            output.try_clone()?,
        ];
        // Locked across the start: `reap_orphans` must not see a child that is not registered yet.
        let mut children = registry.lock();
        children.reap_abandoned();
        let pid = vfork::spawn(&command, &files, prepare)?;
        children.unreaped.insert(pid.as_raw_nonzero().get());
        drop(children);
        Ok(Self {
            pid,
            sigchld,
            status: None,
            registry: Arc::clone(registry),
        })
    }

    /// Returns the process id, or `None` if the process was reaped.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.status.is_none().then_some(self.pid)
    }

    /// Waits until the process has ended, and reaps it.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            // A notification is not about a certain child, and the kernel merges those of children that end at about
            // the same time: each handle checks its own child.
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            self.sigchld.recv().await;
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
        if self.status.is_none()
            && let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)?
        {
            self.status = Some(ExitStatus::from_raw(status.as_raw()));
            let mut children = self.registry.lock();
            children.unreaped.remove(&self.pid.as_raw_nonzero().get());
        }
        Ok(self.status)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // The pid is not reused before the child is reaped. A destructor must not wait for that, so the next
            // start reaps it.
            let _ = kill_process(pid, Signal::KILL);
            self.registry.lock().abandoned.push(pid);
        }
    }
}

/// The children that an engine has started and not reaped.
#[derive(Debug, Default)]
pub(crate) struct UnreapedChildren {
    unreaped: BTreeSet<i32>,
    /// Killed children whose handle was dropped. The next start reaps them.
    abandoned: Vec<Pid>,
}

impl UnreapedChildren {
    /// Returns whether the engine started this process and reaps it itself.
    pub(crate) fn contains(&self, pid: i32) -> bool {
        self.unreaped.contains(&pid)
    }

    fn reap_abandoned(&mut self) {
        let unreaped = &mut self.unreaped;
        self.abandoned.retain(|pid| {
            let ended = !matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None));
            if ended {
                unreaped.remove(&pid.as_raw_nonzero().get());
            }
            !ended
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::proc;

    fn start(seconds: &str, registry: &Arc<Mutex<UnreapedChildren>>) -> io::Result<ChildProcess> {
        let mut command = Command::new("sleep");
        command.arg(seconds);
        let output = File::open("/dev/null")?.into();
        ChildProcess::start(command, output, || Ok(()), registry)
    }

    #[tokio::test]
    async fn dropped_child_is_reaped_by_next_start() -> io::Result<()> {
        let registry = Arc::default();
        let dropped = start("600", &registry)?;
        let pid = dropped.pid.as_raw_nonzero().get();
        drop(dropped);
        let state = || {
            proc::all_stats()
                .find(|stat| stat.pid == pid)
                .map(|stat| stat.state)
        };
        let limit = Instant::now() + Duration::from_secs(60);
        while state() != Some('Z') {
            assert!(Instant::now() < limit, "the dropped child is not killed");
            tokio::task::yield_now().await;
        }
        let mut next = start("0", &registry)?;
        assert_eq!(state(), None);
        next.wait().await?;
        let registry = registry.lock();
        assert!(registry.unreaped.is_empty() && registry.abandoned.is_empty());
        Ok(())
    }

    #[tokio::test]
    async fn wait_can_be_repeated() -> io::Result<()> {
        let mut child = start("0", &Arc::default())?;
        assert!(child.wait().await?.success());
        assert!(child.wait().await?.success());
        Ok(())
    }
}
