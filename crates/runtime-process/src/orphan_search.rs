//! A search for processes that belong to the same command, which ends them.
//!
//! A process belongs to a command if it has its mark, is in the session of another process of the command, or is a
//! child of one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid,
};

use crate::marks::{CommandMark, TASK_VARIABLE};
use crate::proc::{self, ProcStat};

/// The time limit of a search. One scan is not enough for processes that fork and exit repeatedly: when such a process
/// receives the signal, its child is already running.
const MAX_SEARCH_TIME: Duration = Duration::from_secs(5);

/// Maximum number of scans of one search.
const MAX_SCANS: u32 = 500;

/// Maximum number of checks of this process's children between two scans. A check takes a fraction of the time of a
/// scan.
const MAX_CHASES: u32 = 200;

/// The number of following pids that are checked for children of a marked child.
const LOOK_AHEAD: i32 = 8;

/// The pause before the next scan if all processes that the last one found had been killed before.
const DEATH_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The result of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KilledOrphans {
    /// The number of killed processes that were in another process group than the command.
    pub(crate) killed: usize,
    /// The number of processes that remained at the time limit.
    pub(crate) remaining: usize,
}

/// A process with the properties that show the command to which it belongs.
#[derive(Debug)]
pub(crate) struct OrphanCandidate {
    pub(crate) stat: ProcStat,
    /// The limit of file locks.
    pub(crate) number: Option<u64>,
    pub(crate) variable: TaskVariable,
}

/// The value of [`TASK_VARIABLE`] of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskVariable {
    Value(Vec<u8>),
    Missing,
    /// The process belongs to another user, is undumpable, or has ended.
    Unreadable,
}

impl TaskVariable {
    pub(crate) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Unreadable => None,
        }
    }

    fn read(pid: i32) -> Self {
        match proc::environment_variable(pid, TASK_VARIABLE) {
            Ok(Some(value)) => Self::Value(value),
            Ok(None) => Self::Missing,
            Err(_) => Self::Unreadable,
        }
    }
}

impl OrphanCandidate {
    /// Reads the marks of a process; `None` if it has ended. Its variables are read only if `with_variable` is set.
    pub(crate) fn read(stat: ProcStat, with_variable: bool) -> Option<Self> {
        let pid = stat.pid;
        let mut process = Self {
            number: proc::file_lock_limit(pid),
            variable: TaskVariable::Unreadable,
            stat,
        };
        // Those of zombies and kernel threads cannot be opened.
        if with_variable && !process.is_zombie() && !stat.is_kernel_thread {
            process.variable = TaskVariable::read(pid);
            if process.variable == TaskVariable::Unreadable {
                // It may have ended meanwhile.
                process.stat = proc::stat(pid)?;
            }
        }
        Some(process)
    }

    pub(crate) fn is_zombie(&self) -> bool {
        self.stat.state == 'Z'
    }
}

/// A search for the processes of a command.
pub(crate) struct OrphanCleanup<'a> {
    /// The first process of the command, which has ended; `None` if it is unknown.
    pub(crate) leader: Option<i32>,
    pub(crate) is_marked: &'a dyn Fn(&OrphanCandidate) -> bool,
    /// The number of the command. Processes that are not children of this process are ended only by this mark, because
    /// other properties are not certain enough.
    pub(crate) number: Option<u64>,
    /// Whether a child of this process with this number is marked.
    pub(crate) is_marked_child: &'a dyn Fn(u64) -> bool,
}

impl OrphanCleanup<'_> {
    /// Kills the processes of the command until no scan finds one, or until a limit is reached.
    pub(crate) fn run(&self, scan: impl Fn() -> Vec<OrphanCandidate>) -> KilledOrphans {
        let start = Instant::now();
        let mut signalled = BTreeSet::new();
        let mut counted = BTreeSet::new();
        let mut remaining = 0;
        for _ in 0..MAX_SCANS {
            let found = self.find(&scan());
            remaining = found.len();
            if found.is_empty() || start.elapsed() > MAX_SEARCH_TIME {
                // Reaps those that have ended.
                self.chase();
                break;
            }
            let mut has_new = false;
            for process in &found {
                kill(process);
                has_new |= signalled.insert(process.pid);
                if Some(process.group) != self.leader {
                    counted.insert(process.pid);
                }
            }
            self.chase();
            if !has_new {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "called on a thread that may block"
                )]
                std::thread::sleep(DEATH_POLL_INTERVAL);
            }
        }
        KilledOrphans {
            killed: counted.len(),
            remaining,
        }
    }

    /// Returns the running processes that are marked, in a session with a marked process, or its descendants.
    pub(super) fn find(&self, candidates: &[OrphanCandidate]) -> Vec<ProcStat> {
        let own_session = proc::own_group_and_session().1;
        let mut sessions: BTreeSet<i32> = self.leader.into_iter().collect();
        let mut found = BTreeMap::new();
        loop {
            let before = found.len();
            for process in candidates {
                let stat = process.stat;
                let belongs = (self.is_marked)(process)
                    || sessions.contains(&stat.session)
                    || found.contains_key(&stat.parent);
                let is_new = belongs && found.insert(stat.pid, stat).is_none();
                // Session 0 is that of all processes whose session was created outside of this pid namespace.
                if is_new && stat.session != own_session && stat.session != 0 {
                    sessions.insert(stat.session);
                }
            }
            // Ends, since each round adds a process.
            if found.len() == before {
                break;
            }
        }
        let running = found.into_values().filter(|stat| stat.state != 'Z');
        running
            .filter(|stat| Some(stat.pid) != self.leader)
            .collect()
    }

    /// Kills and reaps marked children of this process, until there are none.
    ///
    /// Processes that fork and exit repeatedly become such children. When one is found, it may have forked already, so
    /// processes with the next pids are killed as well. Before a signal, as few files as possible are read.
    fn chase(&self) {
        for _ in 0..MAX_CHASES {
            let mut has_found = false;
            for child in children_except_leaders() {
                let number = proc::file_lock_limit(child);
                let number = number.filter(|number| (self.is_marked_child)(*number));
                if Some(child) == self.leader || number.is_none() {
                    continue;
                }
                has_found = true;
                kill_with_group(child);
                let next = child.saturating_add(1)..=child.saturating_add(LOOK_AHEAD);
                if !reap(child) && number == self.number {
                    next.filter(|next| Some(*next) != self.leader)
                        .filter(|next| proc::file_lock_limit(*next) == number)
                        .for_each(kill_with_group);
                }
            }
            if !has_found {
                return;
            }
        }
    }
}

/// Reaps an adopted orphan. Returns whether it had ended.
fn reap(pid: i32) -> bool {
    let pid = Pid::from_raw(pid);
    pid.is_some_and(|pid| !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)))
}

/// Kills a process, and the group that it leads, if any.
fn kill_with_group(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Kills a process and its group. The kernel kills all members of the group at once. They all belong to the task,
/// because the members of a group are in one session, and the session was created by the command or by another process
/// of the task.
fn kill(process: &ProcStat) {
    // Both fail if the process has ended meanwhile. The kernel assigns pids in turn, so another process does not have
    // its pid yet.
    if let Some(pid) = Pid::from_raw(process.pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let (own_group, own_session) = proc::own_group_and_session();
    if let Some(group) = Pid::from_raw(process.group)
        && process.group != own_group
        && process.session != own_session
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Returns the children of this process, including all adopted orphans.
pub(crate) fn own_children() -> Vec<i32> {
    proc::children().unwrap_or_else(|| {
        let own = own_pid();
        let children = proc::all_stats().filter(|stat| stat.parent == own);
        children.map(|stat| stat.pid).collect()
    })
}

/// Returns the children of this process, except for the first processes of running commands, which only their handles
/// reap.
pub(crate) fn children_except_leaders() -> Vec<i32> {
    let mut children = own_children();
    children.retain(|child| CommandMark::of_leader(*child).is_none());
    children
}

pub(crate) fn own_pid() -> i32 {
    raw(getpid())
}

pub(crate) fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}
