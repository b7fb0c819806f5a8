//! The machine's memory on Linux.

use std::fs;
use std::path::Path;

use super::{Memory, cgroup};

/// Memory of the machine, or of the tightest control group above this process.
///
/// `root` is `/`, except in tests.
pub(super) fn memory(root: &Path) -> Result<Memory, String> {
    let path = root.join("proc/meminfo");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let machine = parse_meminfo(&text)
        .ok_or_else(|| format!("`{}` has no MemTotal or MemAvailable", path.display()))?;
    let groups = cgroup::above(root);
    let stall = groups
        .iter()
        .find_map(|group| stall(&group.join("memory.pressure")))
        .or_else(|| stall(&root.join("proc/pressure/memory")));
    let mut memory = Memory { stall, ..machine };
    for group in &groups {
        if let Some(group) = cgroup::memory(group)? {
            memory = tighter(memory, group);
        }
    }
    Ok(memory)
}

fn tighter(memory: Memory, group: Memory) -> Memory {
    Memory {
        total: memory.total.min(group.total),
        available: memory.available.min(group.available),
        stall: memory.stall,
    }
}

fn parse_meminfo(text: &str) -> Option<Memory> {
    let kibibytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix("kB")?.trim_end().parse().ok()
    };
    let total = kibibytes("MemTotal:")? * 1024;
    let available = kibibytes("MemAvailable:")? * 1024;
    Some(Memory::new(total, available))
}

/// The share of the last ten seconds in which *some* process waited for memory.
fn stall(path: &Path) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let field = some
        .split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?;
    field.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16000 kB\nMemFree:  100 kB\nMemAvailable:   8000 kB\n";

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), "proc/meminfo", MEMINFO);
        root
    }

    #[test]
    fn without_groups_the_machine_counts() {
        let root = machine();
        let memory = memory(root.path()).unwrap();
        assert_eq!(memory, Memory::new(16_000 << 10, 8_000 << 10));
    }

    #[test]
    fn the_tightest_group_above_counts() {
        let root = machine();
        file(
            root.path(),
            "proc/self/cgroup",
            "4:memory:/old\n0::/outer/inner\n",
        );
        file(root.path(), "sys/fs/cgroup/outer/memory.max", "4096000\n");
        file(
            root.path(),
            "sys/fs/cgroup/outer/memory.current",
            "3000000\n",
        );
        file(
            root.path(),
            "sys/fs/cgroup/outer/memory.stat",
            "anon 5\ninactive_file 1000000\n",
        );
        file(root.path(), "sys/fs/cgroup/outer/inner/memory.max", "max\n");
        file(
            root.path(),
            "sys/fs/cgroup/outer/inner/memory.current",
            "3000000\n",
        );
        let memory = memory(root.path()).unwrap();
        assert_eq!(memory, Memory::new(4_096_000, 2_096_000));
    }

    #[test]
    fn a_group_with_a_limit_that_cannot_be_read_is_an_error_that_names_the_file() {
        let root = machine();
        file(root.path(), "proc/self/cgroup", "0::/task\n");
        file(root.path(), "sys/fs/cgroup/task/memory.max", "4096000\n");
        let error = memory(root.path()).unwrap_err();
        assert!(error.contains("task/memory.current"), "{error}");
        file(root.path(), "sys/fs/cgroup/task/memory.max", "lots\n");
        let error = memory(root.path()).unwrap_err();
        assert!(
            error.contains("task/memory.max") && error.contains("\"lots\" is no number"),
            "{error}"
        );
    }

    #[test]
    fn the_groups_stall_goes_before_the_machines() {
        let root = machine();
        let psi = |some| format!("some avg10={some} avg60=0.10 total=1\nfull avg10=0.00 total=0\n");
        file(root.path(), "proc/pressure/memory", &psi("3.50"));
        assert_eq!(memory(root.path()).unwrap().stall, Some(3.5));
        file(root.path(), "proc/self/cgroup", "0::/task\n");
        file(
            root.path(),
            "sys/fs/cgroup/task/memory.pressure",
            &psi("42.00"),
        );
        assert_eq!(memory(root.path()).unwrap().stall, Some(42.0));
    }

    #[test]
    fn a_meminfo_without_available_memory_is_an_error_that_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), "proc/meminfo", "MemTotal: 5 kB\n");
        assert!(memory(root.path()).unwrap_err().contains("meminfo"));
    }
}
