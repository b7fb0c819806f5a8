//! The init process of a sandbox, as a child of the worker.

use std::fs;
use std::io;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::sys;
use crate::uids::UserLease;

// A list instead of a thread: a drop must not block, and has no runtime to spawn on. Most of them
// end within a millisecond.
/// Killed processes that had not ended when their owner was dropped. The next start or drop reaps them.
static ABANDONED: Mutex<Vec<(Pid, Option<UserLease>)>> = Mutex::new(Vec::new());

/// The maximum number of passes over the descendants of a process. Each pass finds processes that were created during
/// the previous one.
const KILL_PASSES: usize = 8;

/// The unit of disk traffic in `rusage`.
const BLOCK_BYTES: u64 = 512;

/// The resources that a process and its descendants used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SandboxUsage {
    /// The processor time in user mode.
    pub user_time: Duration,
    /// The processor time in the kernel.
    pub system_time: Duration,
    /// The largest resident memory of a single process, in bytes.
    pub max_process_memory: u64,
    /// Bytes that were read from disks.
    pub disk_read: u64,
    /// Bytes that were written to disks.
    pub disk_written: u64,
}

/// The init process. It is killed on drop, with all processes of its sandbox.
#[derive(Debug)]
pub(crate) struct InitProcess {
    /// The kernel does not reuse the id before this process reaps the child.
    pid: Pid,
    /// Whether it is the first process of a namespace, whose end ends all others in it.
    owns_namespace: bool,
    reaped: bool,
    /// The user of the processes, released when they have ended.
    user: Option<UserLease>,
}

impl InitProcess {
    /// Takes the ownership of a child.
    pub(crate) fn new(pid: Pid, owns_namespace: bool, user: Option<UserLease>) -> Self {
        reap_abandoned();
        Self {
            pid,
            owns_namespace,
            reaped: false,
            user,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn user(&self) -> Option<u32> {
        self.user.as_ref().map(UserLease::id)
    }

    pub(crate) fn owns_namespace(&self) -> bool {
        self.owns_namespace
    }

    /// Returns the oldest child of the process: the command, unless it has ended.
    pub(crate) fn first_child(&self) -> Option<Pid> {
        children(self.pid).first().copied()
    }

    /// Kills all processes of the sandbox, but not this one if it has to reap others first. Returns whether it is killed.
    ///
    /// A process whose parent ended would be reaped by the first process of the worker's namespace, if at all, and its
    /// own namespace cannot end before.
    pub(crate) fn kill(&self) -> bool {
        let is_last = self.reaped || self.owns_namespace || !self.kill_descendants();
        if is_last && !self.reaped {
            // Fails only if the process has ended.
            let _ = kill_process(self.pid, Signal::KILL);
        }
        is_last
    }

    /// Kills the processes below this one. Returns whether there were any.
    ///
    /// A process whose parent ends becomes a child of this one, which reaps it.
    fn kill_descendants(&self) -> bool {
        let mut found = false;
        for _ in 0..KILL_PASSES {
            let descendants = descendants(self.pid);
            if descendants.is_empty() {
                break;
            }
            found = true;
            for pid in descendants {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        found
    }

    /// Blocks until the process has ended, and reaps it.
    pub(crate) fn wait_and_reap(mut self) -> io::Result<()> {
        waitid(
            WaitId::Pid(self.pid),
            // The process stays a zombie, since only `wait4` below returns its usage.
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )?;
        self.try_reap().map(drop)
    }

    /// Reaps the process if it has ended.
    pub(crate) fn try_reap(&mut self) -> io::Result<Option<(ExitStatus, SandboxUsage)>> {
        if self.reaped {
            return Err(io::ErrorKind::NotFound.into());
        }
        let reaped = sys::wait4(self.pid)?;
        let reaped = reaped.map(|(status, usage)| (status, SandboxUsage::new(&usage)));
        if reaped.is_some() {
            self.reaped = true;
            // Only now may another command have the same user: their processes could signal each
            // other.
            self.user = None;
        }
        Ok(reaped)
    }
}

impl Drop for InitProcess {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            if !matches!(self.try_reap(), Ok(Some(_))) {
                abandon(self.pid, self.user.take());
            }
        }
        reap_abandoned();
    }
}

/// Lists the processes below a process, in no order.
fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// Lists the children of all threads of a process.
fn children(pid: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    for thread in threads.into_iter().flatten().flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = list
            .split_ascii_whitespace()
            .filter_map(|it| it.parse().ok());
        found.extend(pids.filter_map(Pid::from_raw));
    }
    found
}

fn abandon(pid: Pid, user: Option<UserLease>) {
    let mut abandoned = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    abandoned.push((pid, user));
}

fn reap_abandoned() {
    let mut abandoned = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    abandoned.retain(|(pid, _)| {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(*pid), options), Ok(None))
    });
}

impl SandboxUsage {
    fn new(usage: &libc::rusage) -> Self {
        let duration = |time: libc::timeval| {
            let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
            seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
        };
        let bytes = |blocks| u64::try_from(blocks).unwrap_or(0) * BLOCK_BYTES;
        Self {
            disk_read: bytes(usage.ru_inblock),
            disk_written: bytes(usage.ru_oublock),
            user_time: duration(usage.ru_utime),
            system_time: duration(usage.ru_stime),
            max_process_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        }
    }
}
