//! The source of statistics, and their types.

use std::fmt;

/// The source of statistics. Tests inject their own.
///
/// Statistics are read once for each decision of a collection, not once for each resource.
pub trait SystemStats: fmt::Debug + Send + Sync + 'static {
    /// Reads all statistics. A few system calls are fine; other blocking operations are not.
    fn read(&self) -> Stats;
}

/// Statistics that were read at one time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The file system that stores the resources.
    pub disk: Stat<Disk>,
    /// The memory of the machine, or of the control group if that is smaller.
    pub memory: Stat<Memory>,
}

impl Stats {
    /// Creates statistics of disk and memory.
    #[must_use]
    pub const fn new(disk: Stat<Disk>, memory: Stat<Memory>) -> Self {
        Self { disk, memory }
    }
}

/// A statistic, or the reason it is missing.
///
/// A limit whose statistic is missing is skipped. Treating it as exceeded would evict everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stat<T> {
    /// The statistic.
    Known(T),
    /// The platform does not provide it.
    #[default]
    Absent,
    /// Reading it failed with this message.
    Failed(String),
}

impl<T> Stat<T> {
    /// Returns the statistic, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Failed(_) => None,
        }
    }

    /// Returns the reason that the statistic is missing.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Absent => Some("not available on this platform"),
            Self::Failed(reason) => Some(reason),
        }
    }
}

/// Statistics of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// The size in bytes.
    pub total: u64,
    /// The bytes available to this user.
    pub free: u64,
    /// The number of inodes; 0 if the file system does not count them.
    pub inodes: u64,
    /// The number of free inodes.
    pub free_inodes: u64,
}

impl Disk {
    /// Creates statistics of a disk without a count of inodes.
    #[must_use]
    pub const fn new(total: u64, free: u64) -> Self {
        Self {
            total,
            free,
            inodes: 0,
            free_inodes: 0,
        }
    }

    /// Sets the number of inodes and of free inodes.
    #[must_use]
    pub const fn with_inodes(mut self, inodes: u64, free: u64) -> Self {
        self.inodes = inodes;
        self.free_inodes = free;
        self
    }
}

/// Statistics of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// The size in bytes.
    pub total: u64,
    /// The bytes available without swapping.
    pub available: u64,
    /// The percentage of the last ten seconds in which at least one process waited for memory, if the system
    /// reports it.
    pub stall: Option<f64>,
}

impl Memory {
    /// Creates statistics of memory without a stall percentage.
    #[must_use]
    pub const fn new(total: u64, available: u64) -> Self {
        Self {
            total,
            available,
            stall: None,
        }
    }

    /// Sets the stall percentage.
    #[must_use]
    pub const fn with_stall(mut self, percent: f64) -> Self {
        self.stall = Some(percent);
        self
    }
}
