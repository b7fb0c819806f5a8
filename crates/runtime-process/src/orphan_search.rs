//! A search that ends processes which belong together.
//!
//! A process belongs to others if it is marked as they are, in the session of one, or its child.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, waitpid,
};

use crate::marks::{CommandMark, TASK_VARIABLE};
use crate::proc::{self, ProcStat};

/// The time after which a search is given up. A process that forks, and lets its parent die, again and again, escapes a
/// single scan: by the time of the signal, its child runs.
const MAX_SEARCH_TIME: Duration = Duration::from_secs(5);

/// Maximum number of scans of one search.
const MAX_SCANS: u32 = 500;

/// Maximum number of looks at the own children between two scans. They take a fraction of the time of a scan.
const MAX_CHASES: u32 = 200;

/// The number of pids after that of a marked child that may be its children.
const LOOK_AHEAD: i32 = 8;

/// The pause before the next scan if all processes that the last one found had been killed before.
const DEATH_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The result of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KilledOrphans {
    /// The number of killed processes that were in another process group than the command.
    pub(crate) killed: usize,
    /// The number of processes that were left when the search was given up.
    pub(crate) remaining: usize,
}

/// A process with everything that shows to which command it belongs.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) stat: ProcStat,
    /// The limit of file locks.
    pub(crate) number: Option<u64>,
    pub(crate) variable: Variable,
}

/// The value of [`TASK_VARIABLE`] of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Value(Vec<u8>),
    Missing,
    /// The process belongs to another user, is undumpable, or has ended.
    Unreadable,
}

impl Variable {
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

impl Candidate {
    /// Reads a process; `None` if it has ended. Its variables are read only if `with_variable` is set.
    pub(crate) fn read(pid: i32, with_variable: bool) -> Option<Self> {
        let stat = proc::stat(pid)?;
        let mut process = Self {
            number: proc::file_lock_limit(pid),
            variable: Variable::Unreadable,
            stat,
        };
        // Those of zombies and kernel threads cannot be opened.
        if with_variable && !process.is_zombie() && !stat.is_kernel_thread {
            process.variable = Variable::read(pid);
            if process.variable == Variable::Unreadable {
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

/// A search for processes that belong together.
pub(crate) struct Search<'a> {
    /// The process that started the others, and has ended; `None` if it is not known.
    pub(crate) leader: Option<i32>,
    pub(crate) is_marked: &'a dyn Fn(&Candidate) -> bool,
    /// The number of the command. Only it is certain enough to end processes that are no children of this process.
    pub(crate) number: Option<u64>,
    /// Whether a child of this process with this number is marked.
    pub(crate) is_marked_child: &'a dyn Fn(u64) -> bool,
}

impl Search<'_> {
    /// Kills all processes that belong together until no scan finds one, within limits.
    pub(crate) fn run(&self, scan: impl Fn() -> Vec<Candidate>) -> KilledOrphans {
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
    pub(super) fn find(&self, candidates: &[Candidate]) -> Vec<ProcStat> {
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
    /// A process that forks again and again, and lets its parent die, becomes such a child. By then it may have forked
    /// already, so that those with the next pids are killed as well. Reads as little as possible before a signal.
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

/// Kills a process and its group, which the kernel does at once for all members. A process of a task is in the session
/// of its command or in one that a process of the task has created, and so are all members of its group.
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

/// Returns the children of this process, among them all adopted orphans.
pub(crate) fn own_children() -> Vec<i32> {
    proc::children().unwrap_or_else(|| {
        let own = own_pid();
        let children = proc::all_stats().filter(|stat| stat.parent == own);
        children.map(|stat| stat.pid).collect()
    })
}

/// Returns the children of this process, except the first processes of running commands. Those are reaped only by their
/// handles.
pub(crate) fn children_except_leaders() -> Vec<i32> {
    let mut children = own_children();
    let leaders = CommandMark::leaders();
    children.retain(|child| !leaders.contains(child));
    children
}

pub(crate) fn own_pid() -> i32 {
    raw(getpid())
}

pub(crate) fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}
