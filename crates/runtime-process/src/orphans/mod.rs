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
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::marks::{CommandMark, CommandState, LiveWorkers, OwningWorker, TASK_VARIABLE};
use crate::orphan_search::{
    KilledOrphans, OrphanCandidate, OrphanCleanup, children_except_leaders, own_children, own_pid,
    raw,
};
use crate::pid_cycle::{self, LastPid, PidCycle};
use crate::proc::{self, ProcessKey};

/// The time between two scans without a mark after which a process counts as a non-task process.
///
/// Between the fork and the execution of its program, a process has the environment of its parent. A single scan may
/// therefore miss the mark of a process that is about to execute a task's command.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// The time between two lists of all processes, about 1 µs for each, if lists of later ones suffice for each search. They
/// find processes that an earlier search did not end in time, and those that have chosen their pids.
const COMPLETE_INTERVAL: Duration = Duration::from_secs(10);

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
/// of every process on the machine. The first list must precede the first task: all its processes belong to no task of
/// this engine.
#[derive(Debug)]
pub(crate) struct OrphanScanner {
    owner: OwningWorker,
    /// The limit of file locks that children inherit; `None` if it cannot be read, or if no child is an orphan.
    own_limit: Option<u64>,
    known: Mutex<KnownProcesses>,
    /// Observes the last pid. Tests replace it.
    last_pid: fn() -> Option<LastPid>,
}

/// The results of scans.
#[derive(Debug)]
struct KnownProcesses {
    /// The time of the next list of all processes.
    next_complete: Instant,
    /// Processes that the next scan need not read.
    classes: BTreeMap<ProcessKey, ProcessClass>,
}

#[derive(Clone, Copy, Debug)]
enum ProcessClass {
    /// Scans have found no mark since this time.
    SuspectedSince {
        first: Instant,
        /// The address of the environment. The variables are read again only when it changes, and before the process is
        /// confirmed.
        environment: u64,
    },
    /// The process belongs to no task.
    NonTask,
}

impl ProcessClass {
    /// Returns the class of a process without a mark after a scan at `now`.
    fn after_scan(previous: Option<Self>, now: Instant, environment: u64) -> Self {
        match previous {
            Some(Self::SuspectedSince { first, .. })
                if now.duration_since(first) >= CONFIRM_AFTER =>
            {
                Self::NonTask
            }
            Some(Self::SuspectedSince { first, .. }) => Self::SuspectedSince { first, environment },
            Some(Self::NonTask) => Self::NonTask,
            None => Self::SuspectedSince {
                first: now,
                environment,
            },
        }
    }

    /// Returns whether a scan at `now` should try to read the variables of the process, whose environment now has this
    /// address.
    fn tries_variables(previous: Option<Self>, now: Instant, environment: u64) -> bool {
        !matches!(previous, Some(Self::SuspectedSince { first, environment: before })
            if environment == before && now.duration_since(first) < CONFIRM_AFTER)
    }
}

impl OrphanScanner {
    /// Creates a scanner and lists all processes. `adopts` is whether this process is the parent of orphans.
    pub(crate) fn new(owner: OwningWorker, adopts: bool) -> Self {
        let now = Instant::now();
        let mut known = KnownProcesses {
            next_complete: now,
            classes: BTreeMap::new(),
        };
        // Another engine of this process may have left processes with the same owner.
        if !CommandMark::any_left(&owner) {
            let others = proc::process_keys().map(|key| (key, ProcessClass::NonTask));
            known.classes = others.collect();
            known.next_complete += COMPLETE_INTERVAL;
        }
        Self {
            own_limit: adopts.then(|| proc::file_lock_limit(own_pid())).flatten(),
            owner,
            known: Mutex::new(known),
            last_pid: pid_cycle::observe,
        }
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
        let killed = search.run(|| self.scan(mark, leader));
        mark.searched();
        killed
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

    /// Returns all processes that may belong to a command or to an ended one, with their marks.
    ///
    /// Usually, only the processes that started after the first process of the command are listed, since all others of the
    /// command did. The end of a task therefore costs no more on a machine with many processes.
    fn scan(&self, mark: &CommandMark, leader: i32) -> Vec<OrphanCandidate> {
        let later = (!self.is_complete_due(Instant::now()))
            .then(|| later_processes(mark.cycle, leader, self.last_pid));
        match later.flatten() {
            Some(later) => self.read(later, leader, mark.number),
            None => self.read(proc::process_keys().collect(), 0, mark.number),
        }
    }

    /// Returns whether all processes must be listed now. The following scans need not wait for the result.
    fn is_complete_due(&self, now: Instant) -> bool {
        let is_unsearched = CommandMark::take_unsearched(&self.owner);
        let next = &mut self.known.lock().next_complete;
        let is_due = is_unsearched || now >= *next;
        if is_due {
            *next = now + COMPLETE_INTERVAL;
        }
        is_due
    }

    /// Reads those of the listed processes that may belong to the command with this number or to an ended one. The list
    /// has all processes whose pids are at least `first`.
    fn read(&self, keys: Vec<ProcessKey>, first: i32, command: u64) -> Vec<OrphanCandidate> {
        if keys.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let range = ProcessKey::lowest_of(first)..;
        // The lock is not held during the scan, which may take long. If two scans overlap, the classifications of
        // the one that ends first are lost, and later scans repeat them.
        let before: BTreeMap<_, _> = {
            let known = self.known.lock();
            let classes = known.classes.range(range.clone());
            classes.map(|(key, class)| (*key, *class)).collect()
        };
        // An orphan may have been confirmed while its parent lived, and is now hidden.
        let children = self.own_limit.map(|_| own_children()).unwrap_or_default();
        let children = BTreeSet::from_iter(children);
        let (mut classes, mut candidates) = (BTreeMap::new(), Vec::new());
        let own = own_pid();
        for key in keys {
            // A leader belongs to its command, and has no children once it has ended.
            if key.pid == own || CommandMark::of_leader(key.pid).is_some() {
                continue;
            }
            let previous = before.get(&key).copied();
            if matches!(previous, Some(ProcessClass::NonTask)) && !children.contains(&key.pid) {
                classes.insert(key, ProcessClass::NonTask);
                continue;
            }
            // A process cannot join a session, so that the members of other running commands need not be read.
            let owner = proc::session(key.pid).and_then(CommandMark::of_leader);
            if owner.is_some_and(|number| number != command) {
                continue;
            }
            let Some(stat) = proc::stat(key.pid) else {
                continue;
            };
            let tries_variables = ProcessClass::tries_variables(previous, now, stat.environment);
            let Some(process) = OrphanCandidate::read(stat, tries_variables) else {
                continue;
            };
            if let Some(class) = self.class_of(&process, previous, now) {
                classes.insert(key, class);
            }
            candidates.push(process);
        }
        let known = &mut self.known.lock().classes;
        known.split_off(&range.start);
        known.extend(classes);
        candidates
    }

    /// Returns the knowledge about a process that was read at `now`; `None` if the next scan has to read it again.
    fn class_of(
        &self,
        process: &OrphanCandidate,
        previous: Option<ProcessClass>,
        now: Instant,
    ) -> Option<ProcessClass> {
        let is_owned = process.number.is_some_and(|number| self.owner.owns(number));
        let variable = process.variable.value();
        if is_owned || variable.is_some_and(|value| self.owner.owns_variable(value)) {
            return None;
        }
        if process.stat.is_kernel_thread {
            return Some(ProcessClass::NonTask);
        }
        let environment = process.stat.environment;
        Some(ProcessClass::after_scan(previous, now, environment))
    }
}

/// Lists the processes that started after a command, whose first process is not reaped yet; `cycle` precedes its start.
/// `None` if the kernel may have started over with the pids in the meantime, or does not show whether it has.
fn later_processes(
    cycle: Option<PidCycle>,
    leader: i32,
    last_pid: impl Fn() -> Option<LastPid>,
) -> Option<Vec<ProcessKey>> {
    let in_cycle = || last_pid().filter(|last| Some(last.cycle) == cycle);
    if in_cycle()?.pid == leader {
        return Some(Vec::new());
    }
    let keys = proc::process_keys_since(leader)?;
    // Observed after the list, so that the cycle also covers its time.
    in_cycle().map(|_| keys)
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
        let mut pids: Vec<_> = proc::process_keys().map(|key| key.pid).collect();
        pids.retain(|pid| *pid != own);
        let has_mark = |pid: &i32| {
            let number = proc::file_lock_limit(*pid);
            number.is_some_and(|number| live.is_dead_number(number))
                || proc::environment_variable(*pid, TASK_VARIABLE)
                    .is_ok_and(|value| value.is_some_and(|value| live.is_dead(&value)))
        };
        // Usually there are none, and the parents and sessions of all processes need not be read.
        if !pids.iter().any(has_mark) {
            return Vec::new();
        }
        let stats = pids.into_iter().filter_map(proc::stat);
        stats
            .filter_map(|stat| OrphanCandidate::read(stat, true))
            .collect()
    })
}

#[cfg(test)]
mod tests;
