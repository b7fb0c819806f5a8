//! Memory statistics on Linux, from `/proc` and control groups (version 2).

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::source::Memory;

const CGROUP_MOUNT: &str = "sys/fs/cgroup";

/// Reads the memory of the machine, or of the tightest control group above this process.
///
/// `root` is `/`, except in tests.
pub(super) fn read(root: &Path) -> Result<Memory, String> {
    let path = root.join("proc/meminfo");
    let text = fs::read_to_string(&path).map_err(|error| describe(&path, &error))?;
    let machine = parse_meminfo(&text)
        .ok_or_else(|| describe(&path, &"MemTotal or MemAvailable is missing"))?;
    let groups = ancestor_groups(root);
    // A worker in a container cares about its own stalls, not those of its neighbours.
    let stall = groups
        .iter()
        .find_map(|group| read_stall(&group.join("memory.pressure")))
        .or_else(|| read_stall(&root.join("proc/pressure/memory")));
    // The machine counts as well: a group may allow more memory than is available.
    let mut memory = Memory { stall, ..machine };
    for group in &groups {
        if let Some((total, available)) = read_group(group)? {
            memory.total = memory.total.min(total);
            memory.available = memory.available.min(available);
        }
    }
    Ok(memory)
}

fn parse_meminfo(text: &str) -> Option<Memory> {
    let bytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        // The kernel writes kB and means KiB.
        Some(kibibytes * 1024)
    };
    Some(Memory::new(bytes("MemTotal:")?, bytes("MemAvailable:")?))
}

/// Reads the percentage of the last ten seconds in which *some* process waited for memory.
fn read_stall(path: &Path) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some
        .split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?;
    average.parse().ok()
}

/// Returns the folders of this process's control group and its ancestors, innermost first.
///
/// The limit of any ancestor applies, so all of them count.
fn ancestor_groups(root: &Path) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string(root.join("proc/self/cgroup")) else {
        return Vec::new();
    };
    // `0::` is the line of version 2; the others belong to hierarchies of version 1.
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Vec::new();
    };
    let mount = root.join(CGROUP_MOUNT);
    let ancestors = Path::new(path).ancestors();
    ancestors.map(|group| mount.join(group)).collect()
}

/// Reads the limit and the available bytes of a control group; `None` if it has no limit.
fn read_group(group: &Path) -> Result<Option<(u64, u64)>, String> {
    let Some(limit) = read_limit(&group.join("memory.max"))? else {
        return Ok(None);
    };
    let path = group.join("memory.current");
    let text = read_trimmed(&path).map_err(|error| describe(&path, &error))?;
    let current = parse_number(&path, &text)?;
    // The kernel reclaims inactive page cache before the group runs out of memory.
    let used = current.saturating_sub(inactive_file(group).unwrap_or(0));
    Ok(Some((limit, limit.saturating_sub(used))))
}

fn read_limit(path: &Path) -> Result<Option<u64>, String> {
    match read_trimmed(path) {
        Ok(text) if text == "max" => Ok(None),
        Ok(text) => parse_number(path, &text).map(Some),
        // The root group has no limit, nor does a group without a memory controller of version 2.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(describe(path, &error)),
    }
}

fn inactive_file(group: &Path) -> Option<u64> {
    let text = fs::read_to_string(group.join("memory.stat")).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file "))?;
    value.parse().ok()
}

fn read_trimmed(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

fn parse_number(path: &Path, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| describe(path, &format!("invalid number {text:?}")))
}

fn describe(path: &Path, error: &dyn Display) -> String {
    format!("`{}`: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16000 kB\nMemFree:  100 kB\nMemAvailable:   8000 kB\n";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/meminfo", MEMINFO);
        root
    }

    #[test]
    fn machine_counts_without_groups() {
        let root = machine();
        let memory = read(root.path()).unwrap();
        assert_eq!(memory, Memory::new(16_000 << 10, 8_000 << 10));
    }

    #[test]
    fn tightest_ancestor_group_counts() {
        let root = machine();
        let file = |path, text| write(root.path(), path, text);
        file("proc/self/cgroup", "4:memory:/old\n0::/outer/inner\n");
        file("sys/fs/cgroup/outer/memory.max", "4096000\n");
        file("sys/fs/cgroup/outer/memory.current", "3000000\n");
        file(
            "sys/fs/cgroup/outer/memory.stat",
            "anon 5\ninactive_file 1000000\n",
        );
        file("sys/fs/cgroup/outer/inner/memory.max", "max\n");
        file("sys/fs/cgroup/outer/inner/memory.current", "3000000\n");
        let memory = read(root.path()).unwrap();
        assert_eq!(memory, Memory::new(4_096_000, 2_096_000));
    }

    #[test]
    fn unreadable_group_limit_is_named_in_error() {
        let root = machine();
        write(root.path(), "proc/self/cgroup", "0::/task\n");
        write(root.path(), "sys/fs/cgroup/task/memory.max", "4096000\n");
        let error = read(root.path()).unwrap_err();
        assert!(error.contains("task/memory.current"), "{error}");
        write(root.path(), "sys/fs/cgroup/task/memory.max", "lots\n");
        let error = read(root.path()).unwrap_err();
        assert!(
            error.contains("task/memory.max") && error.contains("invalid number \"lots\""),
            "{error}"
        );
    }

    #[test]
    fn stall_of_the_group_precedes_that_of_the_machine() {
        let root = machine();
        let psi = |some| format!("some avg10={some} avg60=0.10 total=1\nfull avg10=0.00 total=0\n");
        write(root.path(), "proc/pressure/memory", &psi("3.50"));
        assert_eq!(read(root.path()).unwrap().stall, Some(3.5));
        write(root.path(), "proc/self/cgroup", "0::/task\n");
        write(
            root.path(),
            "sys/fs/cgroup/task/memory.pressure",
            &psi("42.00"),
        );
        assert_eq!(read(root.path()).unwrap().stall, Some(42.0));
    }

    #[test]
    fn incomplete_meminfo_is_named_in_error() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/meminfo", "MemTotal: 5 kB\n");
        assert!(read(root.path()).unwrap_err().contains("meminfo"));
    }
}
