//! The limits of control groups (version 2).

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
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

/// The memory of a group; `None` if it has no limit.
pub(super) fn memory(group: &Path) -> Result<Option<Memory>, String> {
    let Some(limit) = limit(&group.join("memory.max"))? else {
        return Ok(None);
    };
    let path = group.join("memory.current");
    let current = number(&path, &read(&path).map_err(|error| told(&path, &error))?)?;
    // The kernel takes back the cache of files that were not used lately before it runs out.
    let used = current.saturating_sub(inactive_file(group).unwrap_or(0));
    Ok(Some(Memory::new(limit, limit.saturating_sub(used))))
}

fn limit(path: &Path) -> Result<Option<u64>, String> {
    match read(path) {
        Ok(text) if text == "max" => Ok(None),
        Ok(text) => number(path, &text).map(Some),
        // The root has none, nor has a group whose controller for memory is off or is one of version 1.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(path, &error)),
    }
}

fn inactive_file(group: &Path) -> Option<u64> {
    let text = fs::read_to_string(group.join("memory.stat")).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file "))?;
    value.parse().ok()
}

fn read(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

fn number(path: &Path, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| told(path, &format!("{text:?} is no number")))
}

fn told(path: &Path, what: &dyn Display) -> String {
    format!("`{}`: {what}", path.display())
}
