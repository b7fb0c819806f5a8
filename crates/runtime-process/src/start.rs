//! The process of a command, which this engine starts, waits for and reaps.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::signal::unix::{self, SignalKind};

use crate::borrow;

/// A process that was started and not yet waited for. It is killed when this is dropped.
pub(crate) struct Process {
    pid: Pid,
    /// Comes when any process of this one ends.
    some_ended: unix::Signal,
    ended: Option<ExitStatus>,
    processes: Arc<Mutex<Processes>>,
}

impl Process {
    /// Starts a command that writes to `output`. `prepare` runs in its process and makes nothing but system calls.
    pub(crate) fn start(
        command: Command,
        output: OwnedFd,
        prepare: impl FnMut() -> io::Result<()>,
        processes: &Arc<Mutex<Processes>>,
    ) -> io::Result<Self> {
        let some_ended = unix::signal(SignalKind::child())?;
        // A duplicate has a number above those of the standard files, which are replaced one after the other.
        let files = [
            OwnedFd::from(File::open("/dev/null")?).try_clone()?,
            output.try_clone()?,
            output.try_clone()?,
        ];
        // Whoever reaps orphans must not meet a child that is not noted yet.
        let mut all = processes.lock();
        all.reap_abandoned();
        let pid = borrow::spawn(&command, &files, prepare)?;
        all.started.insert(pid.as_raw_nonzero().get());
        drop(all);
        Ok(Self {
            pid,
            some_ended,
            ended: None,
            processes: Arc::clone(processes),
        })
    }

    /// Its number; `None` once it was waited for.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.ended.is_none().then_some(self.pid)
    }

    /// Waits for the end.
    ///
    /// # Cancel safety
    ///
    /// Safe: another call goes on waiting.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            self.some_ended.recv().await;
        }
    }

    /// Kills it and waits for its end.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::KILL)?;
        }
        self.wait().await.map(drop)
    }

    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none()
            && let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)?
        {
            self.ended = Some(ExitStatus::from_raw(status.as_raw()));
            let mut processes = self.processes.lock();
            processes.started.remove(&self.pid.as_raw_nonzero().get());
        }
        Ok(self.ended)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // It is there until it is waited for.
            let _ = kill_process(pid, Signal::KILL);
            self.processes.lock().abandoned.push(pid);
        }
    }
}

/// The processes that an engine started and has not yet waited for.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    pub(crate) started: BTreeSet<i32>,
    /// Those of them that were killed, and for which nobody waits.
    abandoned: Vec<Pid>,
}

impl Processes {
    fn reap_abandoned(&mut self) {
        let started = &mut self.started;
        self.abandoned.retain(|pid| {
            let ended = !matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None));
            if ended {
                started.remove(&pid.as_raw_nonzero().get());
            }
            !ended
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::processes;

    #[tokio::test]
    async fn a_process_that_is_dropped_is_killed_and_reaped_before_the_next() -> io::Result<()> {
        let all = Arc::default();
        let start = |arguments: &[&str]| {
            let mut command = Command::new("sleep");
            command.args(arguments);
            Process::start(command, File::open("/dev/null")?.into(), || Ok(()), &all)
        };
        let dropped = start(&["600"])?;
        let pid = dropped.pid.as_raw_nonzero().get();
        drop(dropped);
        let state = || {
            processes()
                .find(|process| process.pid == pid)
                .map(|it| it.state)
        };
        while state() != Some('Z') {
            tokio::task::yield_now().await;
        }
        let mut next = start(&["0"])?;
        assert_eq!(state(), None);
        assert!(next.wait().await?.success());
        assert!(next.wait().await?.success(), "a second wait gives the same");
        assert!(all.lock().started.is_empty() && all.lock().abandoned.is_empty());
        Ok(())
    }
}
