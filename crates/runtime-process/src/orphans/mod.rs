//! Finds and ends processes that left the process group of their command.
//!
//! A process belongs to a command if it has one of the command's [marks](crate::marks), or if it is a child or in the
//! session of such a process. The parent of an orphan has ended; with [`adopt_orphans`], this process becomes the new
//! parent. A child of this process with a lower limit belongs to a task: only a process of a task
//! lowers its limit, which hides its mark.
//!
//! Processes that fork faster than any search, or that have the capability to change their marks, can only be ended by
//! a control group or a process namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::marks::{CommandMark, CommandState, LiveWorkers, OwningWorker};
use crate::orphan_search::{
    KilledOrphans, OrphanCandidate, OrphanCleanup, TaskVariable, children_except_leaders,
    own_children, own_pid, raw,
};
use crate::proc::{self, ProcessKey};

/// The time between two scans without a mark after which a process counts as a non-task process.
///
/// Between the fork and the execution of its program, a process has the environment of its parent. A single scan may
/// therefore miss the mark of a process that is about to execute a task's command.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// The maximum age of a command for a list of only the processes that started after it. In this time, no machine starts
/// as many processes as there are pids.
const MAX_PARTIAL_AGE: Duration = Duration::from_millis(100);

/// The time after which all processes are listed again, to find those that an earlier search did not end in time.
const FULL_SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// Turns this process into the parent of orphans among its descendants (Linux: child subreaper).
pub(crate) fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // The kernel reads the argument as a boolean: any pid turns the attribute on.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Finds and kills the processes of commands.
///
/// The scanner remembers processes that belong to no task or to another command, so that a scan need not read the files
/// of every process on the machine. The first scan must precede the first task: all processes that it finds belong to
/// no task of this engine, and are confirmed immediately.
#[derive(Debug)]
pub(crate) struct OrphanScanner {
    owner: OwningWorker,
    /// The limit of file locks that children inherit; `None` if it cannot be read, or if no child is an orphan.
    own_limit: Option<u64>,
    /// `None` before the first scan.
    known: Mutex<Option<LastScan>>,
}

/// The result of a scan of all processes.
#[derive(Clone, Debug)]
struct LastScan {
    /// The time of the scan.
    time: Instant,
    /// Processes that the next scan need not read.
    classes: Arc<BTreeMap<ProcessKey, ProcessClass>>,
}

#[derive(Clone, Copy, Debug)]
enum ProcessClass {
    /// Scans have found no mark since this time.
    SuspectedSince {
        first: Instant,
        /// Whether its variables can be read. This is tested again only until the process is confirmed.
        is_readable: bool,
    },
    /// The process belongs to no task.
    NonTask,
    /// The process is in the session of the command with this number.
    Member(u64),
}

impl ProcessClass {
    /// Returns the class of a process without a mark after a scan at `now`.
    fn after_scan(previous: Option<Self>, now: Instant, is_readable: bool) -> Self {
        match previous {
            Some(Self::SuspectedSince { first, .. })
                if now.duration_since(first) >= CONFIRM_AFTER =>
            {
                Self::NonTask
            }
            Some(Self::SuspectedSince { first, .. }) => Self::SuspectedSince { first, is_readable },
            Some(Self::NonTask) => Self::NonTask,
            None | Some(Self::Member(_)) => Self::SuspectedSince {
                first: now,
                is_readable,
            },
        }
    }

    /// Returns whether a scan at `now` should try to read the variables of the process.
    fn tries_variables(previous: Option<Self>, now: Instant) -> bool {
        !matches!(previous, Some(Self::SuspectedSince { first, is_readable: false })
            if now.duration_since(first) < CONFIRM_AFTER)
    }
}

impl OrphanScanner {
    /// Creates a scanner and makes its first scan. `adopts` is whether this process is the parent of orphans.
    pub(crate) fn new(owner: OwningWorker, adopts: bool) -> Self {
        let scanner = Self {
            owner,
            own_limit: adopts.then(|| proc::file_lock_limit(own_pid())).flatten(),
            known: Mutex::default(),
        };
        scanner.scan(None, None);
        scanner
    }

    pub(crate) fn owner(&self) -> &OwningWorker {
        &self.owner
    }

    /// Kills all processes of a command, whose first process has ended and is not reaped yet. Blocks until they have
    /// ended, for at most about five seconds.
    pub(crate) fn kill_command(&self, mark: &CommandMark, leader: Pid) -> KilledOrphans {
        let leader = raw(leader);
        let is_marked = |process: &OrphanCandidate| {
            process.number == Some(mark.number)
                || process.variable.value() == Some(mark.variable.as_encoded_bytes())
                || self.is_hidden(process)
                || self.is_stale(process)
        };
        let is_marked_child = |number| {
            let is_unknown = CommandMark::state(number) == CommandState::Unknown;
            number == mark.number
                || is_unknown && (self.owner.owns(number) || self.is_lowered(number))
        };
        let search = OrphanCleanup {
            leader: Some(leader),
            number: Some(mark.number),
            is_marked: &is_marked,
            is_marked_child: &is_marked_child,
        };
        search.run(|| {
            let is_young = mark.created.elapsed() < MAX_PARTIAL_AGE;
            self.scan(Some(mark.number), is_young.then_some(leader))
        })
    }

    /// Reaps the orphans of commands that this process has adopted.
    ///
    /// Other children of this process are reaped by the code that started them.
    pub(crate) fn reap(&self) {
        for child in children_except_leaders() {
            // Its limit identifies its command, even after the process has ended.
            let number = proc::file_lock_limit(child);
            let is_orphan = number.is_some_and(|number| match CommandMark::state(number) {
                CommandState::Running(leader) => child != leader && self.owner.owns(number),
                CommandState::Starting => false,
                CommandState::Unknown => self.owner.owns(number) || self.is_lowered(number),
            });
            if let Some(pid) = Pid::from_raw(child).filter(|_| is_orphan) {
                // Returns at once if it runs.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }

    /// Returns whether a process belongs to a command of this worker that has ended: the sandbox of the command was
    /// dropped, or the search did not end the process in time.
    fn is_stale(&self, process: &OrphanCandidate) -> bool {
        process.number.is_some_and(|number| {
            self.owner.owns(number) && CommandMark::state(number) == CommandState::Unknown
        })
    }

    /// Returns whether a process is an adopted orphan that has lowered its limit to hide its mark.
    fn is_hidden(&self, process: &OrphanCandidate) -> bool {
        let is_hidden = |number| {
            // The commands of all engines of this process are its children.
            CommandMark::state(number) == CommandState::Unknown && self.is_lowered(number)
        };
        process.stat.parent == own_pid() && process.number.is_some_and(is_hidden)
    }

    fn is_lowered(&self, number: u64) -> bool {
        self.own_limit.is_some_and(|own| number < own)
    }

    /// Returns all processes that may belong to the command with this number or to an ended command, with their marks.
    ///
    /// `since` is the first process of a command that started a moment ago. Only processes that started later are then
    /// listed, since all other processes of the command did. The end of a short task therefore costs no more on a
    /// machine with many processes.
    fn scan(&self, command: Option<u64>, since: Option<i32>) -> Vec<OrphanCandidate> {
        // The lock is not held during the scan, which may take long. If two scans overlap, the classifications of
        // the one that ends first are lost, and later scans repeat them.
        let before = self.known.lock().clone();
        let is_first = before.is_none();
        let now = Instant::now();
        let is_recent = |known: &LastScan| now.duration_since(known.time) < FULL_SCAN_INTERVAL;
        let since = since.filter(|_| before.as_ref().is_some_and(is_recent));
        let later = since.and_then(proc::process_keys_since);
        let is_complete = later.is_none();
        let keys = later.unwrap_or_else(|| proc::process_keys().collect());
        let before = before.map(|known| known.classes).unwrap_or_default();
        let (mut classes, mut candidates) = (BTreeMap::new(), Vec::new());
        // An orphan may have been confirmed while its parent lived.
        let children: BTreeSet<i32> = own_children().into_iter().collect();
        // A leader belongs to its command, and has no children once it has ended.
        let mut skipped = CommandMark::leaders();
        let mut other_leaders = skipped.clone();
        if let Some(leader) = since {
            other_leaders.remove(&leader);
        }
        skipped.insert(own_pid());
        for key in keys.into_iter().filter(|key| !skipped.contains(&key.pid)) {
            let previous = before.get(&key).copied();
            let is_skipped = match previous {
                Some(ProcessClass::NonTask) => !children.contains(&key.pid),
                Some(ProcessClass::Member(number)) => {
                    Some(number) != command && CommandMark::state(number) != CommandState::Unknown
                }
                Some(ProcessClass::SuspectedSince { .. }) | None => false,
            };
            if let Some(class) = previous.filter(|_| is_skipped) {
                classes.insert(key, class);
                continue;
            }
            let Some(stat) = proc::stat(key.pid) else {
                continue;
            };
            // A process cannot join a session, so that its marks need not be read. A complete scan reads them, and
            // remembers members.
            if !is_complete && other_leaders.contains(&stat.session) {
                continue;
            }
            let tries_variables = ProcessClass::tries_variables(previous, now);
            let Some(process) = OrphanCandidate::read(stat, tries_variables) else {
                continue;
            };
            match self.class_of(&process, previous, now) {
                Some(ProcessClass::SuspectedSince { .. }) if is_first => {
                    classes.insert(key, ProcessClass::NonTask);
                }
                Some(class) => {
                    classes.insert(key, class);
                }
                None => {}
            }
            candidates.push(process);
        }
        if is_complete {
            let classes = Arc::new(classes);
            *self.known.lock() = Some(LastScan { time: now, classes });
        }
        candidates
    }

    /// Returns the knowledge about a process that was read at `now`; `None` if the next scan has to read it again.
    fn class_of(
        &self,
        process: &OrphanCandidate,
        previous: Option<ProcessClass>,
        now: Instant,
    ) -> Option<ProcessClass> {
        let owned = process.number.filter(|number| self.owner.owns(*number));
        if let Some(number) = owned {
            // Only a process of the command can be in its session, whatever number it has set itself.
            let session = CommandState::Running(process.stat.session);
            return (CommandMark::state(number) == session).then_some(ProcessClass::Member(number));
        }
        match &process.variable {
            TaskVariable::Value(_) => None,
            _ if process.stat.is_kernel_thread => Some(ProcessClass::NonTask),
            TaskVariable::Missing => Some(ProcessClass::after_scan(previous, now, true)),
            TaskVariable::Unreadable => Some(ProcessClass::after_scan(previous, now, false)),
        }
    }
}

/// Kills the processes of dead workers. Returns their number.
pub(crate) fn kill_leftovers(live: &LiveWorkers) -> KilledOrphans {
    let is_marked = |process: &OrphanCandidate| {
        let variable = process.variable.value();
        process
            .number
            .is_some_and(|number| live.is_dead_number(number))
            || variable.is_some_and(|variable| live.is_dead(variable))
    };
    let search = OrphanCleanup {
        leader: None,
        number: None,
        is_marked: &is_marked,
        is_marked_child: &|number| live.is_dead_number(number),
    };
    search.run(|| {
        let own = own_pid();
        let keys = proc::process_keys().filter(|key| key.pid != own);
        keys.filter_map(|key| OrphanCandidate::read(proc::stat(key.pid)?, true))
            .collect()
    })
}

#[cfg(test)]
mod tests;
