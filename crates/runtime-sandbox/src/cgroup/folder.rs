//! The folder of a group in one hierarchy: its files, its members, and the groups that its members created.
//!
//! The files depend on the version, the controllers and the kernel, so each function tries all names.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::process::Pid;

/// The file with the members of a group. Only folders of groups have it.
const PROCS: &str = "cgroup.procs";

/// The file in which version 2 shows whether a group has members.
const EVENTS: &str = "cgroup.events";

/// Maximum number of groups inside a group that are examined. A larger number can only be an attack on the worker's
/// memory.
const MAX_INNER_GROUPS: usize = 10_000;

/// The buffer for files of the kernel. Most are shorter.
const READ_BYTES: usize = 4096;

const NAME_PREFIX: &str = "task-";

/// The folder of a group, locked by its owner.
#[derive(Debug)]
pub(super) struct GroupFolder {
    path: PathBuf,
    files: GroupFiles,
    /// The open folder, which is locked. The kernel releases the lock when the owner ends for any reason. A process id in
    /// the name would not show this, because another process, also in another container, may have the same id.
    ///
    /// Files are opened relative to it: the kernel needs more time for a long path than for the file.
    locked: File,
}

impl GroupFolder {
    /// Creates and locks a group.
    ///
    /// # Errors
    ///
    /// The error of the operating system; [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::NotFound`] if another
    /// worker, which starts at this moment, mistook the group for an abandoned one before it was locked.
    pub(super) fn create(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(name);
        fs::create_dir(&path)?;
        Self::lock(path.clone()).inspect_err(|_| {
            // It is empty, and would otherwise stay.
            let _ = fs::remove_dir(&path);
        })
    }

    /// Takes over a group without an owner. Fails if the owner is alive.
    pub(super) fn lock(path: PathBuf) -> io::Result<Self> {
        let locked = File::open(&path)?;
        locked.try_lock()?;
        // Another worker may have removed the group before the lock.
        fs::metadata(&path)?;
        Ok(Self {
            path,
            files: GroupFiles::default(),
            locked,
        })
    }

    /// Sets the files that all groups of the hierarchy have.
    pub(super) fn with_files(mut self, files: &GroupFiles) -> Self {
        self.files = files.clone();
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file through which a process joins the group by writing `0`.
    pub(super) fn open_procs(&self) -> io::Result<File> {
        // Each group has the file, and the kernel refuses to create any. Tests of engines have ordinary folders.
        open_in(&self.locked, PROCS, OFlags::WRONLY | OFlags::CREATE)
    }

    pub(super) fn has(&self, file: &str) -> bool {
        let names = self.files.0.as_ref();
        names.map_or_else(
            || self.path.join(file).exists(),
            |names| names.contains(OsStr::new(file)),
        )
    }

    pub(super) fn read(&self, file: &str) -> Option<String> {
        if self.files.lack(file) {
            return None;
        }
        read_text(open_in(&self.locked, file, OFlags::RDONLY).ok()?)
    }

    /// Returns the number that is the whole content of a file.
    pub(super) fn read_number(&self, file: &str) -> Option<u64> {
        self.read(file)?.trim().parse().ok()
    }

    /// Returns the number after `label`, in a file with one label and number in each line.
    pub(super) fn read_labelled(&self, file: &str, label: &str) -> Option<u64> {
        number_after(&self.read(file)?, label)
    }

    /// Writes a value to an existing file. A missing file is not created.
    pub(super) fn write(&self, file: &str, value: &str) -> io::Result<()> {
        if self.files.lack(file) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut file = open_in(&self.locked, file, OFlags::WRONLY)?;
        file.write_all(value.as_bytes())
    }

    /// Returns the members of the group and of those inside it.
    pub(super) fn members(&self) -> Vec<Pid> {
        if self.has_no_inner_groups() {
            let list = open_in(&self.locked, PROCS, OFlags::RDONLY).ok();
            return list
                .and_then(read_text)
                .map_or_else(Vec::new, |list| parse_pids(&list).collect());
        }
        let groups = with_inner_groups(&self.path).into_iter();
        let files = groups.filter_map(|group| File::open(group.join(PROCS)).ok());
        let lists = files.filter_map(read_text);
        lists
            .flat_map(|list| parse_pids(&list).collect::<Vec<_>>())
            .collect()
    }

    /// Returns whether the folder certainly has no folders inside: each counts as a link to it.
    fn has_no_inner_groups(&self) -> bool {
        fstat(&self.locked).is_ok_and(|stat| stat.st_nlink == 2)
    }

    /// Returns whether the group or one inside it has members that still run.
    pub(super) fn is_populated(&self) -> bool {
        match self.read_labelled(EVENTS, "populated") {
            Some(populated) => populated > 0,
            None => !self.members().is_empty(),
        }
    }

    /// Blocks until the group may have become empty, or for this time. Returns `false` at once if the kernel gives no
    /// notice, as in version 1.
    pub(super) fn wait_for_event(&self, timeout: &Timespec) -> bool {
        if self.files.lack(EVENTS) {
            return false;
        }
        let events = open_in(&self.locked, EVENTS, OFlags::RDONLY);
        let Ok(events) = events else { return false };
        // The kernel gives notice of changes after this read (`kernfs_generic_poll`).
        let Some(text) = events.try_clone().ok().and_then(read_text) else {
            return false;
        };
        if number_after(&text, "populated") != Some(0) {
            let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(timeout));
        }
        true
    }

    /// Removes the group and those inside it, the innermost first. Returns whether it was removed.
    pub(super) fn remove(&self) -> bool {
        remove_group(&self.path)
    }
}

/// The names of the files that each group of a hierarchy has. Many files exist only in another version or kernel; the
/// names avoid a system call for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupFiles(Option<Arc<BTreeSet<OsString>>>);

impl GroupFiles {
    /// Lists the files of a new group. A folder without files is not a group, so the names are then unknown.
    pub(super) fn of(group: &GroupFolder) -> Self {
        let entries = fs::read_dir(&group.path).into_iter().flatten().flatten();
        let names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
        Self((!names.is_empty()).then(|| Arc::new(names)))
    }

    /// Returns whether no group of the hierarchy has a file.
    fn lack(&self, file: &str) -> bool {
        let names = self.0.as_ref();
        names.is_some_and(|names| !names.contains(OsStr::new(file)))
    }
}

/// Removes a group and those inside it. Returns whether it was removed, which is impossible while members are dying.
pub(super) fn remove_group(path: &Path) -> bool {
    let is_gone = |removed: io::Result<()>| match removed {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    // Without a listing at first: nearly all groups have none inside.
    if is_gone(fs::remove_dir(path)) {
        return true;
    }
    let mut is_removed = false;
    // The last one is the group itself, so its result is the one that counts.
    for group in with_inner_groups(path).iter().rev() {
        is_removed = is_gone(fs::remove_dir(group));
    }
    is_removed
}

/// Returns the folders of a group and of those inside it, each after the one that contains it.
fn with_inner_groups(path: &Path) -> Vec<PathBuf> {
    let mut groups = vec![path.to_owned()];
    let mut visited = 0;
    // A loop, since members may nest groups deeper than the stack.
    while let Some(group) = groups.get(visited) {
        if groups.len() >= MAX_INNER_GROUPS {
            break;
        }
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let inner: Vec<_> = inner.map(|entry| entry.path()).collect();
        groups.extend(inner);
        visited += 1;
    }
    groups
}

/// Returns the number after `label`, in a text with one label and number in each line.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let number = lines.find_map(|(found, number)| (found == label).then_some(number))?;
    number.trim().parse().ok()
}

/// Opens a file of an open folder.
fn open_in(folder: &File, file: &str, flags: OFlags) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let file = openat(folder, file, flags | OFlags::CLOEXEC, mode)?;
    Ok(File::from(file))
}

/// Reads a file of the kernel. `fs::read_to_string` would query the length, which is always 0, and then read 32, 64,
/// ... bytes; `take` avoids this.
fn read_text(file: File) -> Option<String> {
    let mut text = String::with_capacity(READ_BYTES);
    file.take(u64::MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Checks that a folder is a group. Elsewhere, `create_dir` would create an ordinary folder.
pub(super) fn check_is_group(folder: &Path) -> io::Result<()> {
    fs::metadata(folder.join(PROCS)).map(drop)
}

pub(super) fn write_existing(file: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(value.as_bytes())
}

/// Parses the members of a group. A process outside of this process's pid namespace is listed as 0.
fn parse_pids(list: &str) -> impl Iterator<Item = Pid> {
    let pids = list.lines().filter_map(|line| line.parse().ok());
    // `kill` takes negative numbers for groups of processes.
    pids.filter(|pid: &i32| *pid > 0).filter_map(Pid::from_raw)
}

/// Returns a random name. Names with a process id or a counter could be used again after a crash, for example by
/// process 1 of a container.
pub(super) fn unique_name() -> String {
    // Each `RandomState` has other keys, the first one from the operating system.
    let number = RandomState::new().hash_one(std::process::id());
    format!("{NAME_PREFIX}{number:016x}")
}

/// Returns whether a worker created a group with this name. Other programs may have groups below the same parent.
pub(super) fn is_unique_name(name: &str) -> bool {
    let digits = name.strip_prefix(NAME_PREFIX).unwrap_or_default();
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.len() == 16 && digits.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = (0..1000).map(|_| unique_name()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| is_unique_name(name)));
    }

    #[test]
    fn names_of_other_groups_are_not_matched() {
        for name in [
            "task-",
            "task-1-7",
            "task-queue",
            "task-00000000000000AB",
            "task-00000000000000000",
            "my-task-0000000000000000",
        ] {
            assert!(!is_unique_name(name), "{name}");
        }
    }

    #[test]
    fn invisible_members_are_skipped() {
        let pids = parse_pids("0\n12\n-1\nx\n7\n");
        let pids: Vec<_> = pids.map(|pid| pid.as_raw_nonzero().get()).collect();
        assert_eq!(pids, [12, 7]);
    }

    #[test]
    fn inner_groups_are_removed() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let folder = GroupFolder::create(parent.path(), "task")?;
        // Deeper than a recursion could go, within the maximum length of a path.
        let deep: PathBuf = std::iter::repeat_n("g", 1500).collect();
        fs::create_dir_all(folder.path().join(&deep))?;
        assert!(folder.remove() && !folder.path().exists());
        assert!(folder.remove(), "it is gone");
        Ok(())
    }

    #[test]
    fn missing_files_are_not_opened() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let probed = GroupFolder::create(parent.path(), "probed")?;
        assert_eq!(GroupFiles::of(&probed), GroupFiles::default());
        fs::write(probed.path().join("cpu.stat"), "usage_usec 7\n")?;
        let files = GroupFiles::of(&probed);
        let folder = GroupFolder::create(parent.path(), "task")?.with_files(&files);
        for file in ["cpu.stat", "memory.peak"] {
            fs::write(folder.path().join(file), "usage_usec 7\n")?;
        }
        let usage = |file| folder.read_labelled(file, "usage_usec");
        assert_eq!((usage("cpu.stat"), usage("memory.peak")), (Some(7), None));
        assert!(folder.has("cpu.stat") && !folder.has("memory.peak"));
        assert!(folder.write("cpu.stat", "1").is_ok());
        let refused = folder.write("memory.peak", "1");
        assert_eq!(
            refused.expect_err("no such file").kind(),
            io::ErrorKind::NotFound
        );
        Ok(())
    }

    #[test]
    fn owned_group_cannot_be_taken_over() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let folder = GroupFolder::create(parent.path(), "task")?;
        let taken = GroupFolder::lock(folder.path().to_owned());
        assert_eq!(
            taken.expect_err("it has an owner").kind(),
            io::ErrorKind::WouldBlock
        );
        let path = folder.path().to_owned();
        drop(folder);
        GroupFolder::lock(path).map(drop)
    }
}
