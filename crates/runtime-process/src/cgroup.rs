//! A control group for the processes of one task, where this user may make one (cgroup v2).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::proc::counter;
use crate::usage::of_cgroup;
use runtime_worker::Usage;

/// How often to look whether a group that was killed is empty, and how many times.
const POLL: (Duration, u32) = (Duration::from_millis(10), 200);

/// A control group of one task. It is removed when dropped.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a group below `parent`, which must be delegated to this user.
    ///
    /// The second value is the file to which a process writes `0` to join.
    pub(crate) fn create(parent: &Path, name: &str) -> io::Result<(Self, File)> {
        // Elsewhere than in a control group there is no such file, and nothing is to be made there.
        fs::metadata(parent.join("cgroup.procs"))?;
        let path = parent.join(name);
        fs::create_dir(&path)?;
        let group = Self { path };
        let door = File::create(group.path.join("cgroup.procs"))?;
        Ok((group, door))
    }

    /// Kills all members, also those that are just being forked.
    pub(crate) fn kill(&self) {
        // Fails only for a group that is gone, which has no members.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Waits until there are no members; gives up after two seconds.
    pub(crate) async fn emptied(&self) {
        for _ in 0..POLL.1 {
            if self.read("cgroup.events", "populated") != Some(1) {
                return;
            }
            tokio::time::sleep(POLL.0).await;
        }
    }

    /// How many members were killed because memory ran out.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        self.read("memory.events", "oom_kill")
    }

    /// What the members have used.
    pub(crate) fn usage(&self) -> Option<Usage> {
        of_cgroup(|file| fs::read_to_string(self.path.join(file)).ok())
    }

    fn read(&self, file: &str, name: &str) -> Option<u64> {
        counter(&fs::read_to_string(self.path.join(file)).ok()?, name)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill();
        // What cannot be removed yet is empty, and goes with the group above it.
        let _ = fs::remove_dir(&self.path);
    }
}

/// The control group of this process, if the machine has cgroup v2 alone and this user may make groups there.
pub(crate) fn own() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = Path::new("/sys/fs/cgroup").join(path);
    path.join("cgroup.kill").exists().then_some(path)
}
