//! A task that the kernel kills because its memory runs out.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

use super::{Outcome, ignored_test};

const TEST: &str = "cgroups::real_oom_kill_is_explained";

/// Where control groups that limit memory are made, and what limits them: v2, and v1.
const KINDS: [(&str, &str); 2] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
];

/// Enough for cargo, a worker and a Taskcluster.
const LIMIT: &str = "536870912";

/// Runs a test of the worker in a group that may use so much memory. It checks by itself.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    let mut groups = KINDS
        .iter()
        .filter_map(|(root, limit)| Group::create(root, limit));
    let Some(group) = groups.next() else {
        let reason = "this user can make no control group that limits memory; try as root";
        return Ok(Outcome::Skipped(reason.to_owned()));
    };
    let enter = r#"echo 0 > "$0/cgroup.procs" && exec "$@""#;
    let path = &group.0;
    ignored_test(
        sh,
        "runtime-process",
        TEST,
        cmd!(sh, "sh -c {enter} {path}"),
    )?;
    Ok(Outcome::Passed)
}

/// Is removed when it is dropped.
struct Group(PathBuf);

impl Group {
    fn create(root: &str, limit: &str) -> Option<Self> {
        let path = Path::new(root).join(format!("runtime-e2e-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        // Elsewhere than among control groups these files do not appear, and must not be made: without a limit
        // the task would take all memory of the machine.
        fs::metadata(group.0.join("cgroup.procs")).ok()?;
        let mut limits = fs::OpenOptions::new()
            .write(true)
            .open(group.0.join(limit))
            .ok()?;
        limits.write_all(LIMIT.as_bytes()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails while something still runs in it, which the next start of the machine ends.
        let _ = fs::remove_dir(&self.0);
    }
}
