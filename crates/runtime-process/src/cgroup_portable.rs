//! The types of `runtime-sandbox` on systems where it is empty: no control groups.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The names of the limits, none of which is supported.
pub(crate) struct Limits {
    names: Vec<&'static str>,
    best_effort: bool,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::new(),
            best_effort: false,
        }
    }

    pub(crate) fn memory(self, _: u64) -> Self {
        self.with("memory")
    }

    pub(crate) fn pids(self, _: u64) -> Self {
        self.with("processes")
    }

    pub(crate) fn cpus(self, _: f64) -> Self {
        self.with("CPU time")
    }

    pub(crate) fn best_effort(mut self) -> Self {
        self.best_effort = true;
        self
    }

    fn with(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self
    }
}

/// No groups.
#[derive(Debug)]
pub(crate) struct CgroupParents;

/// Groups are not supported.
pub(crate) struct CgroupSupport;

/// A group without members.
#[derive(Debug)]
pub(crate) struct Cgroup {
    missing_limits: Vec<&'static str>,
}

/// Nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CgroupUsage {
    pub(crate) cpu: Option<Duration>,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux samples commands")
    )]
    pub(crate) memory: Option<u64>,
    pub(crate) peak_memory: Option<u64>,
    pub(crate) oom_kills: Option<u64>,
    pub(crate) refused_forks: Option<u64>,
    pub(crate) disk_read: Option<u64>,
    pub(crate) disk_written: Option<u64>,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux samples commands")
    )]
    pub(crate) memory_pressure: Option<Pressure>,
}

/// Nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pressure {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux samples commands")
    )]
    pub(crate) some: Duration,
}

/// The groups of dead workers: none.
#[derive(Debug, Default)]
pub(crate) struct AbandonedCgroups {
    pub(crate) removed: usize,
    pub(crate) remaining: Vec<PathBuf>,
}

/// A group needs limits. Without, it has no members, and is always created.
#[derive(Debug, thiserror::Error)]
#[error("cannot limit {limit}: this system has no control groups")]
pub(crate) struct CreateCgroupError {
    limit: &'static str,
}

impl CreateCgroupError {
    pub(crate) fn limit(&self) -> Option<&'static str> {
        Some(self.limit)
    }
}

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

    pub(crate) fn create(&self, limits: &Limits) -> Result<Cgroup, CreateCgroupError> {
        match limits.names.first() {
            Some(limit) if !limits.best_effort => Err(CreateCgroupError { limit }),
            _ => Ok(Cgroup {
                missing_limits: limits.names.clone(),
            }),
        }
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

    pub(crate) fn missing_limits(&self) -> &[&'static str] {
        &self.missing_limits
    }

    pub(crate) fn end(&self) -> bool {
        true
    }

    pub(crate) fn counts_usage(&self) -> bool {
        false
    }

    pub(crate) fn counts_oom_kills(&self) -> bool {
        false
    }

    pub(crate) fn usage(&self) -> CgroupUsage {
        CgroupUsage::default()
    }

    pub(crate) fn totals(&self) -> CgroupUsage {
        CgroupUsage::default()
    }
}
