//! How much of the machine is left.

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod proc;
mod system;

pub use system::HostStats;

use std::fmt;

/// Where the collector reads how much is left. Tests inject their own.
///
/// It is asked once for each decision of a collection, never once for each resource.
pub trait SystemStats: fmt::Debug + Send + Sync + 'static {
    /// Reads everything. It may do a few system calls but must not wait for anything else.
    fn read(&self) -> Stats;
}

/// What was read at one time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The file system that resources are stored on.
    pub disk: Stat<Disk>,
    /// The machine's memory, or the control group's where that is smaller.
    pub memory: Stat<Memory>,
}

/// A statistic, or why there is none. A rule whose statistic is missing is skipped, never taken as broken.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stat<T> {
    /// It was read.
    Known(T),
    /// This platform does not have it.
    #[default]
    Absent,
    /// It could not be read, for this reason.
    Failed(String),
}

impl<T> Stat<T> {
    /// The statistic, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Failed(_) => None,
        }
    }

    /// Why there is no statistic.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Absent => Some("not available on this platform"),
            Self::Failed(reason) => Some(reason),
        }
    }
}

/// A file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that this user may still write.
    pub free: u64,
    /// Inodes in all; 0 if the file system does not count them.
    pub inodes: u64,
    /// Inodes that are left.
    pub free_inodes: u64,
}

impl Disk {
    /// A disk that does not count inodes.
    #[must_use]
    pub const fn new(total: u64, free: u64) -> Self {
        Self {
            total,
            free,
            inodes: 0,
            free_inodes: 0,
        }
    }

    /// The same with inodes.
    #[must_use]
    pub const fn with_inodes(mut self, inodes: u64, free: u64) -> Self {
        self.inodes = inodes;
        self.free_inodes = free;
        self
    }
}

/// Memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that can be had without swapping.
    pub available: u64,
    /// Percent of the last ten seconds that something waited for memory, where the system tells.
    pub stall: Option<f64>,
}

impl Memory {
    /// Memory of a system that does not tell about stalls.
    #[must_use]
    pub const fn new(total: u64, available: u64) -> Self {
        Self {
            total,
            available,
            stall: None,
        }
    }

    /// The same with a stall.
    #[must_use]
    pub const fn with_stall(mut self, percent: f64) -> Self {
        self.stall = Some(percent);
        self
    }
}

impl Stats {
    /// Readings of a disk and of memory.
    #[must_use]
    pub const fn new(disk: Stat<Disk>, memory: Stat<Memory>) -> Self {
        Self { disk, memory }
    }
}
