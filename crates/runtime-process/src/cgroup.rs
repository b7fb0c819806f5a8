//! A control group (cgroup v2) for the processes of one command.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
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
}

impl Cgroup {
    /// Creates a group below `parent`, which must be delegated to this user.
    ///
    /// Also opens the file `cgroup.procs`: a process joins the group by writing `0` to it. It is opened here,
    /// because a new process should only have to write.
    pub(crate) fn create(parent: &Path, name: &str) -> io::Result<(Self, File)> {
        // Only control groups have this file. Elsewhere, `create_dir` would leave an ordinary folder.
        fs::metadata(parent.join("cgroup.procs"))?;
        let path = parent.join(name);
        fs::create_dir(&path)?;
        let group = Self { path };
        let procs = File::create(group.path.join("cgroup.procs"))?;
        Ok((group, procs))
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
            if self.read_number("cgroup.events", "populated") != Some(1) {
                return;
            }
            tokio::time::sleep(EMPTY_POLL_INTERVAL).await;
        }
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
        // Fails while members are still dying. The group then stays until its parent is removed.
        let _ = fs::remove_dir(&self.path);
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
}
