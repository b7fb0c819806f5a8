//! A group for the processes of one command.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::folder::{GroupFolder, remove_group};
use super::kill::{kill_members, sleep};
use super::limits::{CgroupLimitError, CgroupLimits};

/// Interval and maximum number of the checks whether a killed group is empty: two seconds in total.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(10);
const MAX_EMPTY_POLLS: u32 = 200;

/// A group in each hierarchy that is of use. It is killed and removed on drop.
#[derive(Debug)]
pub struct Cgroup {
    folders: Vec<GroupFolder>,
    unremoved: Arc<UnremovedGroups>,
}

/// What the kernel has counted for a group. A count is `None` if no hierarchy has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupUsage {
    /// CPU time of all members, including those that have ended.
    pub cpu: Option<Duration>,
    /// Maximum memory of all members together in bytes.
    pub peak_memory: Option<u64>,
    /// The number of members that were killed because memory ran out. In version 1, without those of inner groups.
    pub oom_kills: Option<u64>,
    /// How often a process could not be created because of the limit of their number.
    pub refused_forks: Option<u64>,
}

impl Cgroup {
    /// Creates a group without folders.
    pub(super) fn new(unremoved: &Arc<UnremovedGroups>) -> Self {
        Self {
            folders: Vec::new(),
            unremoved: Arc::clone(unremoved),
        }
    }

    pub(super) fn add(&mut self, folder: GroupFolder) {
        self.folders.push(folder);
    }

    pub(super) fn folders(&self) -> &[GroupFolder] {
        &self.folders
    }

    /// Opens the files through which a process joins the group: it writes `0` to each.
    ///
    /// They are opened before the process exists, because a new process should only have to write.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn join_files(&self) -> io::Result<Vec<File>> {
        self.folders.iter().map(GroupFolder::open_procs).collect()
    }

    pub(super) fn set_limits(&self, limits: &CgroupLimits) -> Result<(), CgroupLimitError> {
        limits.apply(&self.folders)
    }

    /// Kills all members, without waiting for their end. Blocks for at most a tenth of a second per hierarchy.
    pub fn kill(&self) {
        self.folders.iter().for_each(kill_members);
    }

    /// Kills all members and blocks until they have ended, for at most about two seconds. Returns whether they have.
    ///
    /// Until then the counters are not final, and the group cannot be removed.
    pub fn end(&self) -> bool {
        end_all([self])
    }

    /// Returns whether a member still runs.
    pub(super) fn is_populated(&self) -> bool {
        self.folders.iter().any(GroupFolder::is_populated)
    }

    /// Returns what the kernel has counted so far.
    pub fn usage(&self) -> CgroupUsage {
        // Each name of version 2 precedes that of version 1.
        let micros = self.labelled("cpu.stat", "usage_usec");
        let nanos = || self.number("cpuacct.usage").map(Duration::from_nanos);
        CgroupUsage {
            cpu: micros.map(Duration::from_micros).or_else(nanos),
            peak_memory: (self.number("memory.peak"))
                .or_else(|| self.number("memory.max_usage_in_bytes")),
            oom_kills: (self.labelled("memory.events", "oom_kill"))
                .or_else(|| self.labelled("memory.oom_control", "oom_kill")),
            refused_forks: self.labelled("pids.events", "max"),
        }
    }

    /// Returns whether the kernel counts CPU time and memory.
    pub(crate) fn counts_usage(&self) -> bool {
        let has = |file| self.folders.iter().any(|folder| folder.has(file));
        (has("cpu.stat") || has("cpuacct.usage"))
            && (has("memory.peak") || has("memory.max_usage_in_bytes"))
    }

    fn number(&self, file: &str) -> Option<u64> {
        let mut folders = self.folders.iter();
        folders.find_map(|folder| folder.read_number(file))
    }

    fn labelled(&self, file: &str, label: &str) -> Option<u64> {
        let mut folders = self.folders.iter();
        folders.find_map(|folder| folder.read_labelled(file, label))
    }
}

/// Kills the members of all groups and blocks until they have ended, for at most about two seconds. Returns whether
/// they have.
pub(super) fn end_all<'a>(groups: impl IntoIterator<Item = &'a Cgroup>) -> bool {
    let mut groups: Vec<_> = groups.into_iter().collect();
    for _ in 0..MAX_EMPTY_POLLS {
        groups.retain(|group| group.is_populated());
        // Once more each time: without `cgroup.kill`, a member may have forked after it was listed.
        groups.iter().for_each(|group| group.kill());
        if groups.is_empty() {
            return true;
        }
        sleep(EMPTY_POLL_INTERVAL);
    }
    false
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill();
        let folders = self.folders.iter();
        let left = folders.filter(|folder| !folder.remove());
        self.unremoved
            .add(left.map(|folder| folder.path().to_owned()));
    }
}

/// Groups that could not be removed because their members were still dying. The next creation tries again.
#[derive(Debug, Default)]
pub(super) struct UnremovedGroups(Mutex<Vec<PathBuf>>);

impl UnremovedGroups {
    fn lock(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, groups: impl Iterator<Item = PathBuf>) {
        self.lock().extend(groups);
    }

    pub(super) fn remove(&self) {
        self.lock().retain(|group| !remove_group(group));
    }
}
