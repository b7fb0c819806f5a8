//! Finds processes that left the process group of their task, by a variable in their environment.
//!
//! Every process of a task inherits a variable that contains the task's folder. A daemon that starts a session
//! still has it, unless it clears its environment. Only a control group finds such a process too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime_core::TemporaryStorage;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getsid, kill_process, waitpid};

use crate::proc::{self, ProcStat, ProcessKey};

/// The variable that contains the folder of the task to which a process belongs.
pub(crate) const TASK_MARKER: &str = "RUNTIME_WORKER_TASK";

/// Maximum number of scans of one search. More than one is needed, because a process may have forked between the
/// scan that found it and its death.
const MAX_SCANS: usize = 8;

/// The time between two scans without a marker after which a process counts as a non-task process.
///
/// Between its fork and the execution of a program, a process shows the environment of its parent. A single scan
/// may therefore miss the marker of a process that is about to execute a task's command.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// Finds and kills the processes of tasks.
///
/// The scanner remembers processes that belong to no task, so that a scan need not read the environment of every
/// process on the machine. Its first scan must precede the first task: every process that exists by then belongs
/// to no task of this engine and is confirmed immediately.
#[derive(Debug, Default)]
pub(crate) struct OrphanScanner {
    /// `None` before the first scan.
    non_tasks: Mutex<Option<Arc<NonTasks>>>,
}

/// Processes without a marker.
type NonTasks = BTreeMap<ProcessKey, NonTask>;

#[derive(Clone, Copy, Debug)]
enum NonTask {
    /// No scan has found a marker since this time.
    SuspectedSince(Instant),
    Confirmed,
}

impl NonTask {
    /// Returns the classification after a scan at `now` that found no marker.
    fn after_scan(previous: Option<Self>, now: Instant) -> Self {
        match previous {
            None => Self::SuspectedSince(now),
            Some(Self::SuspectedSince(first)) if now.duration_since(first) >= CONFIRM_AFTER => {
                Self::Confirmed
            }
            Some(previous) => previous,
        }
    }
}

impl OrphanScanner {
    /// Kills all processes of the task in `folder`. Returns their number.
    pub(crate) fn kill_task(&self, folder: &Path) -> usize {
        let folder = folder.as_os_str().as_encoded_bytes();
        self.kill_marked(|marker| marker == folder)
    }

    /// Kills all processes that dead workers left running on the same storage.
    ///
    /// A marker is a path `ROOT/PROCESS/TASK`. Opening the storage has removed the process folders of dead workers, so a
    /// marker whose process folder is missing belongs to a dead worker. Live workers on the same root keep theirs.
    pub(crate) fn kill_leftovers_of_dead_workers(&self, storage: &TemporaryStorage) {
        let root = storage.path().parent();
        self.kill_marked(|marker| {
            let folder = Path::new(std::str::from_utf8(marker).unwrap_or(""));
            let process = folder.parent();
            process.is_some_and(|process| {
                root.is_some() && process.parent() == root && !process.exists()
            })
        });
    }

    fn kill_marked(&self, is_wanted: impl Fn(&[u8]) -> bool) -> usize {
        let mut killed = BTreeSet::new();
        for _ in 0..MAX_SCANS {
            let marked = self.scan().into_iter();
            let orphans: Vec<_> = marked
                .filter(|(_, marker)| is_wanted(marker))
                .filter_map(|(pid, _)| Pid::from_raw(pid))
                .collect();
            if orphans.is_empty() {
                break;
            }
            for orphan in orphans {
                // Fails if the process has ended meanwhile. The kernel assigns pids in turn, so another process does
                // not have its pid yet.
                let _ = kill_process(orphan, Signal::KILL);
                killed.insert(orphan.as_raw_nonzero());
            }
        }
        killed.len()
    }

    /// Returns the processes of all tasks with their markers. A zombie has no environment and is not found.
    fn scan(&self) -> Vec<(i32, Vec<u8>)> {
        let own = getpid().as_raw_nonzero().get();
        // The lock is not held during the scan, which may take long. If two scans overlap, the classifications of
        // the one that ends first are lost, and later scans repeat them.
        let known = self.non_tasks.lock().clone();
        let is_first = known.is_none();
        let (known, now) = (known.unwrap_or_default(), Instant::now());
        let (mut non_tasks, mut marked) = (NonTasks::new(), Vec::new());
        for key in proc::process_keys().filter(|key| key.pid != own) {
            let previous = known.get(&key).copied();
            if let Some(NonTask::Confirmed) = previous {
                non_tasks.insert(key, NonTask::Confirmed);
                continue;
            }
            match proc::environment_variable(key.pid, TASK_MARKER) {
                Ok(Some(marker)) => marked.push((key.pid, marker)),
                Ok(None) if is_first => drop(non_tasks.insert(key, NonTask::Confirmed)),
                Ok(None) => drop(non_tasks.insert(key, NonTask::after_scan(previous, now))),
                // Not readable now, as during `execve`: the next scan classifies it.
                Err(_) => {}
            }
        }
        *self.non_tasks.lock() = Some(Arc::new(non_tasks));
        marked
    }
}

/// Reaps the orphans of tasks whose parent this process became as their subreaper.
///
/// `is_child` returns whether the engine started a process and reaps it itself.
pub(crate) fn reap_orphans(is_child: impl Fn(i32) -> bool) {
    let own = getpid().as_raw_nonzero().get();
    let session = getsid(None).map_or(0, |session| session.as_raw_nonzero().get());
    // Children in this session were started by other parts of this program, whose wait would fail if their child
    // was reaped here. A task's processes are in the session of their command.
    let is_orphan = |stat: &ProcStat| {
        stat.parent == own && stat.state == 'Z' && stat.session != session && !is_child(stat.pid)
    };
    for orphan in proc::all_stats().filter(is_orphan) {
        if let Some(pid) = Pid::from_raw(orphan.pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_task_is_confirmed_by_second_late_scan() {
        let start = Instant::now();
        let first = NonTask::after_scan(None, start);
        let soon = NonTask::after_scan(Some(first), start + CONFIRM_AFTER / 2);
        assert!(matches!(soon, NonTask::SuspectedSince(since) if since == start));
        let later = NonTask::after_scan(Some(soon), start + CONFIRM_AFTER);
        assert!(matches!(later, NonTask::Confirmed));
    }

    #[test]
    fn first_scan_confirms_all_non_tasks() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let scanner = OrphanScanner::default();
        assert_eq!(scanner.kill_task(folder.path()), 0);
        let non_tasks = scanner.non_tasks.lock().clone().unwrap_or_default();
        let is_confirmed = |non_task: &NonTask| matches!(non_task, NonTask::Confirmed);
        assert!(!non_tasks.is_empty() && non_tasks.values().all(is_confirmed));
        Ok(())
    }

    #[test]
    fn only_the_tasks_processes_are_killed() -> std::io::Result<()> {
        let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let scanner = OrphanScanner::default();
        scanner.scan();
        let mut sleeper = std::process::Command::new("sleep");
        let sleeper = sleeper.arg("600").env(TASK_MARKER, folder.path()).spawn()?;
        let mut sleeper = KillOnDrop(sleeper);
        let marker = folder.path().as_os_str().as_encoded_bytes();
        // The environment is empty while the kernel sets up the program's memory.
        let limit = Instant::now() + Duration::from_secs(60);
        while !scanner.scan().iter().any(|(_, found)| found == marker) {
            assert!(Instant::now() < limit, "the marked process is not found");
        }
        assert_eq!(scanner.kill_task(other.path()), 0);
        assert_eq!(scanner.kill_task(folder.path()), 1);
        assert!(!sleeper.0.wait()?.success());
        Ok(())
    }

    struct KillOnDrop(std::process::Child);

    impl Drop for KillOnDrop {
        fn drop(&mut self) {
            // Both fail only if the process has ended.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
