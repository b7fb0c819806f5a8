//! The types of `runtime-sandbox` on systems where it is empty: no control groups.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No limits.
pub(crate) struct Limits;

impl Limits {
    pub(crate) fn new() -> Self {
        Self
    }
}

/// No groups.
#[derive(Debug)]
pub(crate) struct CgroupParents;

/// Groups are not supported.
pub(crate) struct CgroupSupport;

/// A group without members.
#[derive(Debug)]
pub(crate) struct Cgroup;

/// Nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CgroupUsage {
    pub(crate) cpu: Option<Duration>,
    pub(crate) peak_memory: Option<u64>,
    pub(crate) oom_kills: Option<u64>,
    pub(crate) disk_read: Option<u64>,
    pub(crate) disk_written: Option<u64>,
}

/// The groups of dead workers: none.
#[derive(Debug, Default)]
pub(crate) struct AbandonedCgroups {
    pub(crate) removed: usize,
    pub(crate) remaining: Vec<PathBuf>,
}

/// A group without members is always created.
pub(crate) type CreateCgroupError = Infallible;

impl CgroupParents {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn below_own() -> Self {
        Self
    }

    pub(crate) fn below(_: &Path) -> Self {
        Self
    }

    pub(crate) fn support(&self) -> &CgroupSupport {
        &CgroupSupport
    }

    pub(crate) fn create(&self, _: &Limits) -> Result<Cgroup, CreateCgroupError> {
        Ok(Cgroup)
    }

    pub(crate) fn remove_abandoned(&self) -> AbandonedCgroups {
        AbandonedCgroups::default()
    }
}

impl CgroupSupport {
    pub(crate) fn is_available(&self) -> bool {
        false
    }

    pub(crate) fn contains_processes(&self) -> bool {
        false
    }
}

impl fmt::Display for CgroupSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no control groups on this system")
    }
}

impl Cgroup {
    pub(crate) fn join_files(&self) -> io::Result<Vec<File>> {
        Ok(Vec::new())
    }

    pub(crate) fn end(&self) -> bool {
        true
    }

    pub(crate) fn usage(&self) -> CgroupUsage {
        CgroupUsage::default()
    }
}
