//! What the operating system says.

use std::path::{Path, PathBuf};

use super::{Disk, Memory, Stat, Stats, SystemStats};

/// Reads the disk of one folder, and memory.
///
/// | | Linux | other Unix | elsewhere |
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
    /// Watches the file system that `folder` is on. Nothing is read yet.
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

#[cfg(target_os = "linux")]
impl HostStats {
    fn read_memory(&self) -> Stat<Memory> {
        super::proc::memory(&self.root).map_or_else(Stat::Failed, Stat::Known)
    }
}

#[cfg(not(target_os = "linux"))]
impl HostStats {
    fn read_memory(&self) -> Stat<Memory> {
        Stat::Absent
    }
}

#[cfg(unix)]
fn read_disk(folder: &Path) -> Stat<Disk> {
    match rustix::fs::statvfs(folder) {
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
    fn this_machine_can_be_read() {
        let readings = HostStats::new("/").read();
        let disk = readings.disk.known().expect("statvfs works");
        assert!(disk.total > 0 && disk.free <= disk.total);
        let memory = readings.memory.known().expect("/proc/meminfo is there");
        assert!(memory.total > 0 && memory.available <= memory.total);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_failure_with_its_name() {
        let readings = HostStats::new("/not/there").read();
        assert!(matches!(readings.disk, Stat::Failed(reason) if reason.contains("/not/there")));
    }

    #[test]
    fn memory_that_cannot_be_read_is_a_failure() {
        let mut pressure = HostStats::new("/");
        pressure.root = PathBuf::from("/not/there");
        assert!(matches!(pressure.read().memory, Stat::Failed(_)));
    }
}
