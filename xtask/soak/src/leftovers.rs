//! Leftovers of tasks on the machine: processes, control groups, mounts and files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::sample::processes;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Control groups of commands are this deep at most below the machine's root group.
const CGROUP_DEPTH: usize = 6;

/// The abandoned control groups of commands, which may be of other workers of this machine.
pub(crate) fn abandoned_cgroups() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    add_abandoned_cgroups(Path::new(CGROUPS), CGROUP_DEPTH, &mut found);
    found
}

fn add_abandoned_cgroups(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let (name, path) = (entry.file_name(), entry.path());
        let id = name.to_str().and_then(|name| name.strip_prefix("task-"));
        if id.is_some_and(|id| id.len() == 16) {
            // The worker that owns a group locks it.
            let is_abandoned = File::open(&path).is_ok_and(|group| group.try_lock().is_ok());
            found.extend(is_abandoned.then_some(path));
        } else if depth > 0 {
            add_abandoned_cgroups(&path, depth - 1, found);
        }
    }
}

/// Returns the running processes of tasks of this Taskcluster, even those with another parent.
pub(crate) fn task_processes(root_url: &str) -> Vec<u32> {
    // Searches the environment, which also finds processes whose parent has exited.
    let variable = format!("TASKCLUSTER_ROOT_URL={root_url}\0");
    let is_task = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&environment);
        text.contains(&variable) && text.contains("TASK_ID=")
    };
    processes().filter(is_task).collect()
}

/// Returns the mounts of this machine that mention a folder.
pub(crate) fn mounts(folder: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let folder = folder.to_string_lossy();
    let lines = mounts.lines().filter(|line| line.contains(&*folder));
    lines.map(str::to_owned).collect()
}

/// Returns what a worker that has exited left in its data folder, apart from complete caches and inputs, and its lock.
pub(crate) fn task_folders(data: &Path) -> Vec<PathBuf> {
    let mut left = entries(data);
    left.retain(|path| !path.ends_with("mounts") && !path.ends_with(".lock"));
    for cache in entries(&data.join("mounts")) {
        left.extend(entries(&cache.join("leases")));
        left.extend(entries(&cache.join("trash")));
        // A folder without an entry in the index is incomplete.
        let folders = entries(&cache.join("folders")).into_iter();
        left.extend(folders.filter(|folder| {
            let name = folder.file_name().unwrap_or_default();
            !cache.join("index").join(name).exists()
        }));
    }
    left
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_caches_are_not_leftovers() {
        let data = tempfile::tempdir().expect("a folder");
        let create = |path: &str| {
            let path = data.path().join(path);
            fs::create_dir_all(&path).expect("a folder");
            path
        };
        create("mounts/caches/folders/a-0");
        create("mounts/caches/index/a-0");
        create(".lock");
        let expected = BTreeSet::from([
            create("run-1"),
            create("mounts/caches/folders/b-0"),
            create("mounts/inputs/trash/c"),
        ]);
        assert_eq!(BTreeSet::from_iter(task_folders(data.path())), expected);
    }
}
