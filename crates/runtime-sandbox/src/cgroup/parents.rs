//! The groups below which this process creates others.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{
    GroupFiles, GroupFolder, check_is_group, is_unique_name, unique_name, write_existing,
};
use super::group::{Cgroup, UnremovedGroups, end_all};
use super::kill::KillMethod;
use super::limits::{CgroupLimitError, CgroupLimits};
use super::own_groups::{Hierarchy, groups_at, own_groups};

/// Maximum number of names that are tried. A second name is needed only if another worker, which starts at this moment,
/// mistakes the new group for an abandoned one.
const MAX_ATTEMPTS: u32 = 8;

/// The controllers that limit or count something. Version 2 has their files in a group only if its parent enables them.
const CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "io"];

/// The groups below which this process creates others: one in each hierarchy that works.
#[derive(Debug)]
pub struct CgroupParents {
    hierarchies: Vec<Hierarchy>,
    support: CgroupSupport,
    unremoved: Arc<UnremovedGroups>,
}

/// The functions of control groups on this machine, for this user.
#[derive(Clone, Debug, Default)]
pub struct CgroupSupport {
    /// The best way to kill all members; `None` if no group can be created.
    pub(super) kill: Option<KillMethod>,
    /// Whether memory is counted and can be limited.
    pub(super) memory: bool,
    /// Whether the number of processes can be limited.
    pub(super) pids: bool,
    /// Whether CPU time is counted for all groups.
    pub(super) cpu_usage: bool,
    /// Whether CPU time can be limited.
    pub(super) cpu: bool,
    /// The folders below which groups are created.
    pub(super) parents: Vec<PathBuf>,
    /// The folders in which no group could be created, with the reasons.
    pub(super) unusable: Vec<(PathBuf, String)>,
}

/// A group cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateCgroupError {
    /// The operating system refused it.
    #[error("cannot create a control group in `{}`", parent.display())]
    Io {
        /// The folder of the parent.
        parent: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// A limit cannot be set.
    #[error(transparent)]
    Limit(#[from] CgroupLimitError),
}

impl CreateCgroupError {
    /// Returns the limit that cannot be set, such as `memory`, if this is the cause of the error.
    #[must_use]
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Limit(
                CgroupLimitError::Unsupported { limit }
                | CgroupLimitError::Invalid { limit, .. }
                | CgroupLimitError::Refused { limit, .. },
            ) => Some(*limit),
            Self::Io { .. } => None,
        }
    }
}

/// The groups of dead workers that were found.
#[derive(Debug, Default)]
pub struct AbandonedCgroups {
    /// The number of removed groups.
    pub removed: usize,
    /// Groups that still have members, or cannot be removed.
    pub remaining: Vec<PathBuf>,
}

impl CgroupParents {
    /// Uses no groups.
    #[must_use]
    pub fn none() -> Self {
        Self {
            hierarchies: Vec::new(),
            support: CgroupSupport::default(),
            unremoved: Arc::default(),
        }
    }

    /// Finds the groups of this process.
    ///
    /// `try_join` tests whether a process can join a group, given the group's file of members. The permissions depend
    /// on the group that the process leaves, so only an attempt shows them.
    pub(crate) fn find_own(try_join: impl Fn(File) -> io::Result<()>) -> Self {
        let (cgroup, mountinfo) = read_proc();
        Self::probe(own_groups(&cgroup, &mountinfo), try_join)
    }

    /// Uses `parent`, and the groups at the same path in other hierarchies.
    pub(crate) fn find_below(parent: &Path, try_join: impl Fn(File) -> io::Result<()>) -> Self {
        // The path may contain links, as those of `cpu` and `cpuacct` to `cpu,cpuacct`.
        let parent = &fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
        let (cgroup, mountinfo) = read_proc();
        let is_group = |folder: &Path| check_is_group(folder).is_ok();
        let found = groups_at(parent, &cgroup, &mountinfo, is_group);
        Self::probe(found, try_join)
    }

    /// Creates a group in each hierarchy, to find out whether it works and which files it has.
    pub(super) fn probe(found: Vec<Hierarchy>, try_join: impl Fn(File) -> io::Result<()>) -> Self {
        let mut parents = Self::none();
        // Version 2 first: it may make hierarchies of version 1 superfluous.
        let (v2, v1): (Vec<_>, Vec<_>) = found.into_iter().partition(Hierarchy::is_v2);
        for mut hierarchy in v2.into_iter().chain(v1) {
            if parents.support.includes(&hierarchy) {
                continue;
            }
            match parents.probe_hierarchy(&mut hierarchy, &try_join) {
                Ok(()) => parents.hierarchies.push(hierarchy),
                Err(error) => {
                    let unusable = (hierarchy.folder, error.to_string());
                    parents.support.unusable.push(unusable);
                }
            }
        }
        parents
    }

    fn probe_hierarchy(
        &mut self,
        hierarchy: &mut Hierarchy,
        try_join: impl Fn(File) -> io::Result<()>,
    ) -> io::Result<()> {
        let parent = hierarchy.folder.clone();
        if hierarchy.is_v2() {
            enable_controllers(&parent);
        }
        let group = create_group(&[&*hierarchy], &self.unremoved).map_err(|(_, error)| error)?;
        for folder in group.folders() {
            hierarchy.files = GroupFiles::of(folder);
            try_join(folder.open_procs()?)?;
            self.support.add(&parent, folder);
        }
        Ok(())
    }

    /// Returns the abilities of the groups.
    #[must_use]
    pub fn support(&self) -> &CgroupSupport {
        &self.support
    }

    /// Creates a group with a unique name and limits. If no hierarchy can be used, the group has no folder.
    pub(crate) fn create_limited(
        &self,
        limits: &CgroupLimits,
    ) -> Result<Cgroup, CreateCgroupError> {
        self.unremoved.remove();
        let best_effort = limits.best_effort;
        let needed = self.hierarchies.iter().filter(|it| self.needs(it, limits));
        let created = create_group(&needed.collect::<Vec<_>>(), &self.unremoved);
        let mut group = match created {
            Err(_) if best_effort => Cgroup::new(&self.unremoved),
            created => {
                created.map_err(|(parent, source)| CreateCgroupError::Io { parent, source })?
            }
        };
        group.set_limits(limits)?;
        Ok(group)
    }

    /// Returns whether a group needs a folder in a hierarchy. Each folder takes time: for the CPU controller of version
    /// 1 milliseconds, for others about 0.1 ms.
    fn needs(&self, hierarchy: &Hierarchy, limits: &CgroupLimits) -> bool {
        if hierarchy.has("cpu") && !hierarchy.has("memory") {
            return limits.limit_cpu();
        }
        let only_counts = &*hierarchy.name == "pids";
        !only_counts || limits.pids.is_some() || self.support.kill == Some(KillMethod::OneByOne)
    }

    /// Kills and removes the groups of dead workers. Blocks until they are empty, for at most about two seconds.
    ///
    /// A group belongs to a dead worker if its lock is free. All containers of a machine see the same locks.
    pub fn remove_abandoned(&self) -> AbandonedCgroups {
        let mut abandoned = Vec::new();
        for hierarchy in &self.hierarchies {
            let entries = fs::read_dir(&hierarchy.folder).into_iter().flatten();
            for entry in entries.flatten() {
                if is_unique_name(&entry.file_name().to_string_lossy()) {
                    // Fails if the worker of the group is alive.
                    if let Ok(folder) = GroupFolder::lock(entry.path()) {
                        let mut group = Cgroup::new(&self.unremoved);
                        group.add(folder);
                        abandoned.push(group);
                    }
                }
            }
        }
        // All together: the two seconds are the limit for all groups, not for each.
        end_all(&abandoned);
        let mut found = AbandonedCgroups::default();
        for group in abandoned {
            let paths = group.paths();
            drop(group);
            let (remaining, removed) = paths.into_iter().partition::<Vec<_>, _>(|it| it.exists());
            found.removed += removed.len();
            found.remaining.extend(remaining);
        }
        found
    }
}

impl CgroupSupport {
    fn add(&mut self, parent: &Path, folder: &GroupFolder) {
        let method = KillMethod::of(folder);
        self.kill = Some(self.kill.map_or(method, |best| best.min(method)));
        self.memory |= folder.has("memory.max") || folder.has("memory.limit_in_bytes");
        self.pids |= folder.has("pids.max");
        self.cpu_usage |= folder.read_labelled("cpu.stat", "usage_usec").is_some();
        self.cpu |= folder.has("cpu.max") || folder.has("cpu.cfs_quota_us");
        self.parents.push(parent.to_owned());
    }

    /// Returns whether a hierarchy is superfluous.
    fn includes(&self, hierarchy: &Hierarchy) -> bool {
        match &*hierarchy.name {
            "freezer" => self.kill == Some(KillMethod::AtOnce),
            "cpuacct" => self.cpu_usage,
            _ => false,
        }
    }

    /// Returns whether groups can be created.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.kill.is_some()
    }

    /// Returns whether every process of a group ends when the group is killed.
    #[must_use]
    pub fn contains_processes(&self) -> bool {
        self.kill
            .is_some_and(|method| method != KillMethod::OneByOne || self.pids)
    }
}

impl fmt::Display for CgroupSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kill {
            None => "no control groups",
            Some(_) if self.contains_processes() => "control groups end all processes",
            Some(_) => "control groups end processes one by one, so that some may escape",
        })?;
        let features = [
            ("memory limits", self.memory),
            ("process limits", self.pids),
            ("CPU limits", self.cpu),
        ];
        for (feature, has) in features.iter().filter(|_| self.kill.is_some()) {
            write!(f, ", {} {feature}", if *has { "with" } else { "without" })?;
        }
        for (folder, reason) in &self.unusable {
            write!(f, "; `{}` cannot be used: {reason}", folder.display())?;
        }
        Ok(())
    }
}

/// Creates a group with the same name in each hierarchy. An error is returned with the folder of the parent.
fn create_group(
    hierarchies: &[&Hierarchy],
    unremoved: &Arc<UnremovedGroups>,
) -> Result<Cgroup, (PathBuf, io::Error)> {
    let mut attempts = 1;
    loop {
        match create_named(&unique_name(), hierarchies, unremoved) {
            Err((_, error)) if attempts < MAX_ATTEMPTS && is_taken(&error) => attempts += 1,
            created => return created,
        }
    }
}

fn create_named(
    name: &str,
    hierarchies: &[&Hierarchy],
    unremoved: &Arc<UnremovedGroups>,
) -> Result<Cgroup, (PathBuf, io::Error)> {
    let mut group = Cgroup::new(unremoved);
    for hierarchy in hierarchies {
        let parent = &hierarchy.folder;
        let created = check_is_group(parent).and_then(|()| GroupFolder::create(parent, name));
        // After an error, the drop of `group` removes the folders in the hierarchies before this
        // one.
        let created = created.map_err(|error| (parent.clone(), error))?;
        group.add(created.with_files(&hierarchy.files));
    }
    Ok(group)
}

/// Returns whether a name is in use, or another worker has locked or removed the new group.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock | io::ErrorKind::NotFound
    )
}

/// Enables the controllers of a group of version 2 for the groups below it.
///
/// Fails if the group is not delegated to this user, or if it has members and is not the root. [`CgroupSupport`] then
/// shows the missing controllers.
fn enable_controllers(parent: &Path) {
    // One by one: the kernel refuses a write as a whole if it does not know one of its controllers.
    for controller in CONTROLLERS {
        let _ = write_existing(
            &parent.join("cgroup.subtree_control"),
            &format!("+{controller}"),
        );
    }
}

fn read_proc() -> (String, String) {
    // Neither exists without Linux or `/proc`, and then there are no hierarchies.
    let read = |file| fs::read(file).unwrap_or_default();
    let [cgroup, mountinfo] = ["/proc/self/cgroup", "/proc/self/mountinfo"].map(read);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(cgroup), text(mountinfo))
}
