//! A group for the processes of one command.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::Timespec;

use super::folder::{GroupFolder, remove_group};
use super::kill::{kill_members, sleep};
use super::limits::{CgroupLimitError, CgroupLimits};
use super::usage::CgroupUsage;

/// The maximum time until a killed group is empty.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum interval of the checks whether a killed group is empty.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A group in each usable hierarchy. When it is dropped, its members are killed, and it is removed.
#[derive(Debug)]
pub struct Cgroup {
    folders: Vec<GroupFolder>,
    missing_limits: Vec<&'static str>,
    unremoved: Arc<UnremovedGroups>,
}

impl Cgroup {
    /// Creates a group without folders.
    pub(super) fn new(unremoved: &Arc<UnremovedGroups>) -> Self {
        Self {
            folders: Vec::new(),
            missing_limits: Vec::new(),
            unremoved: Arc::clone(unremoved),
        }
    }

    pub(super) fn add(&mut self, folder: GroupFolder) {
        self.folders.push(folder);
    }

    pub(super) fn folders(&self) -> &[GroupFolder] {
        &self.folders
    }

    /// Returns the folders of the group in all hierarchies.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let paths = self.folders.iter().map(|folder| folder.path().to_owned());
        paths.collect()
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

    pub(super) fn set_limits(&mut self, limits: &CgroupLimits) -> Result<(), CgroupLimitError> {
        self.missing_limits = limits.apply(&self.folders)?;
        Ok(())
    }

    /// Returns the missing limits, which [`Limits::best_effort`](crate::Limits::best_effort) permits.
    pub fn missing_limits(&self) -> &[&'static str] {
        &self.missing_limits
    }

    /// Kills all members, without waiting for their end. Blocks for at most a tenth of a second per hierarchy.
    pub(super) fn kill(&self) {
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

    /// Blocks until a group of version 2 may have become empty, or for this time.
    fn wait_for_event(&self, timeout: Duration) {
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let populated = self.folders.iter().find(|folder| folder.is_populated());
        if populated.is_some_and(|folder| !folder.wait_for_event(&wait)) {
            sleep(timeout);
        }
    }

    /// Returns the current counts. This reads about ten files in memory, so it may be called several times per second.
    pub fn usage(&self) -> CgroupUsage {
        self.final_usage().with_memory(&self.folders)
    }

    /// Returns only CPU time, peak memory and disk traffic, which are final once all members have ended. Reads at most
    /// three files.
    pub fn totals(&self) -> CgroupUsage {
        CgroupUsage::read_totals(&self.folders)
    }

    /// Returns only CPU time, disk traffic, current memory and its pressure, which change while members run. Reads at
    /// most five files.
    pub fn sample(&self) -> CgroupUsage {
        CgroupUsage::read_sample(&self.folders)
    }

    /// Returns the counts of a group whose members have ended.
    pub(crate) fn final_usage(&self) -> CgroupUsage {
        CgroupUsage::read(&self.folders)
    }

    /// Returns whether the kernel counts CPU time and memory.
    pub fn counts_usage(&self) -> bool {
        let has = |file| self.folders.iter().any(|folder| folder.has(file));
        (has("cpu.stat") || has("cpuacct.usage"))
            && (has("memory.peak") || has("memory.max_usage_in_bytes"))
    }

    /// Returns whether the kernel counts members that it kills because memory ran out.
    pub fn counts_oom_kills(&self) -> bool {
        let has = |file| self.folders.iter().any(|folder| folder.has(file));
        has("memory.events") || has("memory.oom_control")
    }
}

/// Kills the members of all groups and blocks until they have ended, for at most about two seconds. Returns whether
/// they have.
pub(super) fn end_all<'a>(groups: impl IntoIterator<Item = &'a Cgroup>) -> bool {
    let mut groups: Vec<_> = groups.into_iter().collect();
    let start = Instant::now();
    loop {
        groups.retain(|group| group.is_populated());
        let Some(first) = groups.first() else {
            return true;
        };
        if start.elapsed() > EMPTY_TIMEOUT {
            return false;
        }
        // Once more each time: without `cgroup.kill`, a member may have forked after it was listed.
        groups.iter().for_each(|group| group.kill());
        first.wait_for_event(EMPTY_POLL_INTERVAL);
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let mut left: Vec<_> = self.folders.iter().collect();
        left.retain(|folder| !folder.remove());
        // Only one with members cannot be removed.
        // Without a wait for their end: a destructor may run on a thread of the runtime.
        left.iter().for_each(|folder| kill_members(folder));
        left.retain(|folder| !folder.remove());
        let left = left.into_iter().map(|folder| folder.path().to_owned());
        self.unremoved.add(left);
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
