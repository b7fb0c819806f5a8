//! The limits of control groups (version 2).

use std::fs;
use std::path::{Path, PathBuf};

use super::Memory;

const MOUNT: &str = "sys/fs/cgroup";

/// The folders of the group of this process and of those above it, innermost first.
pub(super) fn above(root: &Path) -> Vec<PathBuf> {
    let Some(own) = own(root) else {
        return Vec::new();
    };
    let mount = root.join(MOUNT);
    own.ancestors().map(|group| mount.join(group)).collect()
}

/// The path of the own group below the mount.
fn own(root: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(path))
}

/// The memory of a group that has a limit.
pub(super) fn memory(group: &Path) -> Option<Memory> {
    // A group without a limit says `max`, which is not a number.
    let limit = number(&group.join("memory.max"))?;
    let current = number(&group.join("memory.current"))?;
    // The kernel takes back the cache of files that were not used lately before it runs out.
    let used = current.saturating_sub(inactive_file(group).unwrap_or(0));
    Some(Memory::new(limit, limit.saturating_sub(used)))
}

fn inactive_file(group: &Path) -> Option<u64> {
    let text = fs::read_to_string(group.join("memory.stat")).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file "))?;
    value.parse().ok()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
