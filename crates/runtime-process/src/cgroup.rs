//! A control group (cgroup v2) for the processes of one command.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime_worker::report::Usage;

use crate::proc;

/// Interval and maximum number of the checks whether a killed group is empty: two seconds in total.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(10);
const MAX_EMPTY_POLLS: u32 = 200;

/// A control group. It is killed and removed on drop.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    /// The folder of the group, locked by the worker that uses it. The kernel releases the lock however the worker
    /// ends. A process id in the name would not tell: another process, or one of another container, may have it.
    _lock: File,
}

/// The number of groups that this process has created, for their names.
static GROUPS: AtomicU64 = AtomicU64::new(0);

impl Cgroup {
    /// Creates a group below `parent`, which must be delegated to this user.
    ///
    /// Also opens the file `cgroup.procs`: a process joins the group by writing `0` to it. It is opened here,
    /// because a new process should only have to write.
    pub(crate) fn create(parent: &Path) -> io::Result<(Self, File)> {
        check_is_cgroup(parent)?;
        loop {
            let number = GROUPS.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(group_name(std::process::id(), number));
            match fs::create_dir(&path) {
                // Left by a dead worker that had the same pid, as process 1 of a container does.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            }
            match Self::lock(path.clone()) {
                Ok(group) => {
                    let procs = File::create(group.path.join("cgroup.procs"))?;
                    return Ok((group, procs));
                }
                // A worker that starts has locked or removed the group, which nobody had locked yet. Take another one.
                Err(error) if is_taken(&error) => {}
                Err(error) => {
                    // It is empty, and would otherwise stay.
                    let _ = fs::remove_dir(&path);
                    return Err(error);
                }
            }
        }
    }

    /// Kills and removes the groups of dead workers below `parent`. Blocks until they are empty, for at most two
    /// seconds.
    pub(crate) fn remove_abandoned(parent: &Path) -> io::Result<()> {
        check_is_cgroup(parent)?;
        let mut abandoned = Vec::new();
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            if is_group_name(&entry.file_name().to_string_lossy()) {
                // Fails if the worker of the group lives.
                abandoned.extend(Self::lock(entry.path()).ok());
            }
        }
        abandoned.iter().for_each(Self::kill);
        for _ in 0..MAX_EMPTY_POLLS {
            abandoned.retain(Self::is_populated);
            if abandoned.is_empty() {
                break;
            }
            #[expect(clippy::disallowed_methods, reason = "called on a blocking thread")]
            std::thread::sleep(EMPTY_POLL_INTERVAL);
        }
        Ok(())
    }

    /// Takes over a group that no worker uses.
    fn lock(path: PathBuf) -> io::Result<Self> {
        let lock = File::open(&path)?;
        lock.try_lock()?;
        // Another worker may have removed the group before the lock.
        fs::metadata(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Kills all members. The kernel includes processes that are being forked, which a loop over pids would miss.
    pub(crate) fn kill(&self) {
        // Fails only if the group was removed, and then it has no members.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Waits until the group has no members, for at most two seconds.
    ///
    /// Members die asynchronously. While there are any, the counters are not final and the group cannot be removed.
    pub(crate) async fn wait_until_empty(&self) {
        for _ in 0..MAX_EMPTY_POLLS {
            if !self.is_populated() {
                return;
            }
            tokio::time::sleep(EMPTY_POLL_INTERVAL).await;
        }
    }

    fn is_populated(&self) -> bool {
        self.read_number("cgroup.events", "populated") == Some(1)
    }

    /// Returns the number of members that were killed because memory ran out.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        self.read_number("memory.events", "oom_kill")
    }

    /// Returns the exact usage of all members, including those that have ended.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let cpu = self.read_number("cpu.stat", "usage_usec")?;
        // Exists only if the memory controller is enabled for the group.
        let peak_memory = fs::read_to_string(self.path.join("memory.peak")).ok();
        Some(Usage {
            cpu: Some(Duration::from_micros(cpu)),
            peak_memory: peak_memory.and_then(|peak| peak.trim().parse().ok()),
            ..Usage::default()
        })
    }

    fn read_number(&self, file: &str, label: &str) -> Option<u64> {
        proc::number_after(&fs::read_to_string(self.path.join(file)).ok()?, label)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill();
        // Fails while members are still dying. The group then stays until the next worker starts.
        remove_groups(&self.path);
    }
}

/// Returns whether another worker locks or has removed a group.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotFound
    )
}

/// Checks that a folder is a control group. Elsewhere, `create_dir` would create an ordinary folder.
fn check_is_cgroup(folder: &Path) -> io::Result<()> {
    // Only control groups have this file.
    fs::metadata(folder.join("cgroup.procs")).map(drop)
}

fn group_name(pid: u32, number: u64) -> String {
    format!("task-{pid}-{number}")
}

/// Returns whether a worker created a group with this name. Other programs may have groups below the same parent.
fn is_group_name(name: &str) -> bool {
    let numbers = name
        .strip_prefix("task-")
        .and_then(|name| name.split_once('-'));
    let numbers = numbers.and_then(|(pid, number)| Some((pid.parse().ok()?, number.parse().ok()?)));
    numbers.is_some_and(|(pid, number)| group_name(pid, number) == name)
}

/// Removes a group, and those that its processes created in it, the innermost first.
fn remove_groups(path: &Path) {
    if fs::remove_dir(path).is_ok() {
        return;
    }
    let mut groups = vec![path.to_owned()];
    let mut visited = 0;
    while let Some(group) = groups.get(visited) {
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let inner: Vec<_> = inner.map(|entry| entry.path()).collect();
        groups.extend(inner);
        visited += 1;
    }
    for group in groups.iter().rev() {
        // Each can fail while members are dying.
        let _ = fs::remove_dir(group);
    }
}

/// Returns the control group of this process if the machine uses only cgroup v2.
pub(crate) fn own_cgroup() -> Option<PathBuf> {
    let path = Path::new("/sys/fs/cgroup").join(proc::own_cgroup_path()?);
    // Linux 5.14 and later have it, except in the root group, where no worker should create groups.
    path.join("cgroup.kill").exists().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_counters() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let group = Cgroup {
            path: folder.path().to_owned(),
            _lock: File::open(folder.path())?,
        };
        assert_eq!(group.usage(), None);
        fs::write(
            folder.path().join("cpu.stat"),
            "usage_usec 1500000\nuser_usec 1\n",
        )?;
        fs::write(folder.path().join("memory.peak"), "1048576\n")?;
        let usage = group.usage().expect("`cpu.stat` exists");
        assert_eq!(usage.cpu, Some(Duration::from_millis(1500)));
        assert_eq!(usage.peak_memory, Some(1 << 20));
        Ok(())
    }

    #[test]
    fn names_of_other_groups_are_not_matched() {
        assert!(is_group_name(&group_name(1, 0)));
        for name in [
            "task-",
            "task-1",
            "task-a-1",
            "task-1-",
            "task-01-2",
            "task-1-2-3",
            "my-task-1-2",
        ] {
            assert!(!is_group_name(name), "{name}");
        }
    }

    #[test]
    fn taken_name_is_skipped() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        fs::write(parent.path().join("cgroup.procs"), "")?;
        // Other tests of this process may take some of these numbers meanwhile, and then the next ones.
        let next = GROUPS.load(Ordering::Relaxed);
        for number in next..next + 8 {
            fs::create_dir(parent.path().join(group_name(std::process::id(), number)))?;
        }
        let (group, _) = Cgroup::create(parent.path())?;
        assert!(group.path.exists());
        Ok(())
    }

    #[test]
    fn created_groups_are_locked() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        fs::write(parent.path().join("cgroup.procs"), "")?;
        let (group, _) = Cgroup::create(parent.path())?;
        Cgroup::remove_abandoned(parent.path())?;
        assert!(
            !group.path.join("cgroup.kill").exists(),
            "killed while in use"
        );
        Ok(())
    }
}
