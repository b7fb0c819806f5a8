//! Tasks that the kernel kills because their memory is exhausted.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::Shell;

use crate::e2e::{ignored_tests, missing};

/// The root of the control groups with a memory limit, and the file of the limit: version 2, then version 1.
const HIERARCHIES: [(&str, &str); 2] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
];

/// 512 MiB are enough for a worker and a Taskcluster.
const LIMIT: &str = "536870912";

/// Runs the test of the process engine in a control group with a memory limit, and the one that creates such groups.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let mut hierarchies = HIERARCHIES.iter();
    let group = hierarchies.find_map(|(root, limit)| ControlGroup::create(root, limit));
    let Some(ControlGroup(path)) = &group else {
        return Err(missing("a control group with a memory limit; run as root"));
    };
    let enter = r#"echo 0 > "$0/cgroup.procs" && exec "$@""#;
    let path = path.to_str().context("paths of control groups are ASCII")?;
    ignored_tests(sh, "cgroups::", &["sh", "-c", enter, path])?;
    ignored_tests(sh, "oom_kills::", &["env"])
}

/// A control group, removed on drop.
struct ControlGroup(PathBuf);

impl ControlGroup {
    fn create(root: &str, limit: &str) -> Option<Self> {
        let path = Path::new(root).join(format!("runtime-e2e-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        // The kernel creates these files. If they are missing, the folder is not a control group, and without a limit
        // the task would use up the memory of the machine.
        fs::metadata(group.0.join("cgroup.procs")).ok()?;
        let mut options = fs::OpenOptions::new();
        let mut limits = options.write(true).open(group.0.join(limit)).ok()?;
        limits.write_all(LIMIT.as_bytes()).ok()?;
        Some(group)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Fails while a process runs in the group. The group then lasts until a reboot.
        let _ = fs::remove_dir(&self.0);
    }
}
