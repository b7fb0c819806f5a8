//! The statistics of the machine that this process runs on.

use std::path::{Path, PathBuf};

use super::source::{Disk, Memory, Stat, Stats, SystemStats};

/// The statistics of the file system of a folder, and of memory.
///
/// | | Linux | other Unix | Windows |
/// | --- | --- | --- | --- |
/// | disk, inodes | `statvfs` | `statvfs` | absent |
/// | memory | `/proc/meminfo`, and the limits of each cgroup v2 above this process | absent | absent |
/// | stall | PSI of the control group, or of the machine | absent | absent |
#[derive(Clone, Debug)]
pub struct HostStats {
    folder: PathBuf,
    #[cfg(target_os = "linux")]
    root: PathBuf,
}

impl HostStats {
    /// Creates a source for the file system that contains `folder`, without reading it yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            #[cfg(target_os = "linux")]
            root: PathBuf::from("/"),
        }
    }
}

impl SystemStats for HostStats {
    fn read(&self) -> Stats {
        Stats {
            disk: read_disk(&self.folder),
            memory: self.read_memory(),
        }
    }
}

impl HostStats {
    #[cfg(target_os = "linux")]
    fn read_memory(&self) -> Stat<Memory> {
        super::linux_memory::read(&self.root).map_or_else(Stat::Failed, Stat::Known)
    }

    #[cfg(not(target_os = "linux"))]
    fn read_memory(&self) -> Stat<Memory> {
        Stat::Absent
    }
}

#[cfg(unix)]
fn read_disk(folder: &Path) -> Stat<Disk> {
    match rustix::fs::statvfs(folder) {
        // `f_bavail` and not `f_bfree`: blocks reserved for root are not available to a worker.
        Ok(stat) => Stat::Known(Disk {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            inodes: stat.f_files,
            free_inodes: stat.f_favail,
        }),
        Err(error) => Stat::Failed(format!("statvfs of `{}`: {error}", folder.display())),
    }
}

#[cfg(not(unix))]
fn read_disk(_folder: &Path) -> Stat<Disk> {
    Stat::Absent
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn machine_can_be_read() {
        let stats = HostStats::new("/").read();
        let disk = stats.disk.known().expect("statvfs works");
        assert!(disk.total > 0 && disk.free <= disk.total);
        let memory = stats.memory.known().expect("/proc/meminfo exists");
        assert!(memory.total > 0 && memory.available <= memory.total);
    }

    #[test]
    fn missing_folder_is_named_in_failure() {
        let stats = HostStats::new("/not/there").read();
        assert!(matches!(stats.disk, Stat::Failed(reason) if reason.contains("/not/there")));
    }

    #[test]
    fn unreadable_memory_is_a_failure() {
        let mut source = HostStats::new("/");
        source.root = PathBuf::from("/not/there");
        assert!(matches!(source.read().memory, Stat::Failed(_)));
    }
}
