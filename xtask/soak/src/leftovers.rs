//! Leftovers of tasks on the machine: processes, control groups, mounts and files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sample::processes;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Control groups of commands are this deep at most below the machine's root group.
const CGROUP_DEPTH: usize = 6;

/// A worker locks a group within this time after it created it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the abandoned control groups of commands, which may be of other workers of this machine.
pub(crate) async fn abandoned_cgroups() -> BTreeSet<PathBuf> {
    abandoned_groups(Path::new(CGROUPS)).await
}

async fn abandoned_groups(root: &Path) -> BTreeSet<PathBuf> {
    let mut groups = BTreeSet::new();
    add_groups(root, CGROUP_DEPTH, &mut groups);
    if !groups.is_empty() {
        // Only groups from before the pause are locked here: a lock on a new one would be in the way of its worker.
        tokio::time::sleep(LOCK_TIMEOUT).await;
    }
    // The worker that owns a group has locked it.
    groups.retain(|group| File::open(group).is_ok_and(|group| group.try_lock().is_ok()));
    groups
}

fn add_groups(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let (name, path) = (entry.file_name(), entry.path());
        let id = name.to_str().and_then(|name| name.strip_prefix("task-"));
        if id.is_some_and(|id| id.len() == 16) {
            found.insert(path);
        } else if depth > 0 {
            add_groups(&path, depth - 1, found);
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

/// Describes what a worker that has exited left in its data folder, apart from complete caches and inputs, and its lock.
///
/// A folder whose content differs from the known layout is a leftover, too, as its leftovers would not be found.
pub(crate) fn leftover_files(data: &Path) -> Vec<String> {
    let mut left = differences(data, &[".lock", "mounts"]);
    let mounts = data.join("mounts");
    left.extend(differences(&mounts, CACHES));
    for cache in CACHES.iter().map(|name| mounts.join(name)) {
        left.extend(differences(&cache, CACHE_FILES));
        left.extend(differences(&cache.join("leases"), &[]));
        left.extend(differences(&cache.join("trash"), &[]));
        // A folder without an entry in the index is incomplete.
        let complete = names(&cache.join("index"));
        let complete: Vec<&str> = complete.iter().map(String::as_str).collect();
        left.extend(differences(&cache.join("folders"), &complete));
    }
    left
}

/// The caches of a worker.
const CACHES: &[&str] = &["caches", "inputs"];
/// The content of a cache.
const CACHE_FILES: &[&str] = &[".lock", "folders", "format", "index", "leases", "trash"];

/// Describes the entries that a folder has in excess, and those that it lacks.
fn differences(folder: &Path, expected: &[&str]) -> Vec<String> {
    let found = names(folder);
    let expected = BTreeSet::from_iter(expected.iter().map(ToString::to_string));
    let path = |name: &String| folder.join(name).display().to_string();
    let excess = found.difference(&expected).map(path);
    let missing = expected.difference(&found).map(path);
    let missing = missing.map(|path| format!("{path} is missing"));
    excess.chain(missing).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A data folder with a complete cache.
    struct Data(TempDir);

    impl Data {
        fn new() -> Self {
            let data = Self(tempfile::tempdir().expect("a folder"));
            data.create(".lock");
            for cache in CACHES {
                for file in CACHE_FILES {
                    data.create(&format!("mounts/{cache}/{file}"));
                }
            }
            data.create("mounts/caches/folders/a-0");
            data.create("mounts/caches/index/a-0");
            data
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn create(&self, name: &str) {
            fs::create_dir_all(self.path(name)).expect("a folder");
        }

        /// Returns the leftovers, relative to the folder.
        fn leftovers(&self) -> Vec<String> {
            let root = format!("{}/", self.0.path().display());
            let left = leftover_files(self.0.path()).into_iter();
            left.map(|it| it.replace(&root, "")).collect()
        }
    }

    #[test]
    fn complete_caches_are_not_leftovers() {
        let data = Data::new();
        assert_eq!(data.leftovers(), [""; 0]);
        data.create("run-1");
        data.create("mounts/caches/folders/b-0");
        data.create("mounts/inputs/trash/c");
        let expected = [
            "run-1",
            "mounts/caches/folders/b-0",
            "mounts/inputs/trash/c",
        ];
        assert_eq!(data.leftovers(), expected);
    }

    #[test]
    fn unknown_layouts_are_leftovers() {
        for (from, to) in [
            (".lock", "lock"),
            ("mounts", "caches"),
            ("mounts/inputs", "mounts/downloads"),
            ("mounts/caches/folders", "mounts/caches/content"),
            ("mounts/caches/trash", "mounts/caches/removed"),
        ] {
            let data = Data::new();
            fs::rename(data.path(from), data.path(to)).expect("a rename");
            let left = data.leftovers();
            for expected in [to, &format!("{from} is missing")] {
                assert!(left.iter().any(|it| it == expected), "{left:?}");
            }
        }
    }

    #[test]
    fn missing_data_folder_is_found() {
        assert!(!leftover_files(Path::new("/none")).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn new_groups_are_not_abandoned() {
        let folder = tempfile::tempdir().expect("a folder");
        let group = |name: &str| {
            let path = folder.path().join("soak.slice").join(name);
            fs::create_dir_all(&path).expect("a folder");
            path
        };
        let [owned, abandoned] = ["task-00000000000000aa", "task-00000000000000bb"].map(group);
        let lock = async {
            tokio::time::sleep(LOCK_TIMEOUT / 2).await;
            let group = File::open(owned).expect("a folder");
            group.try_lock().expect("nobody else locks it");
            group
        };
        let (found, _lock) = tokio::join!(abandoned_groups(folder.path()), lock);
        assert_eq!(found, BTreeSet::from([abandoned]));
    }
}
