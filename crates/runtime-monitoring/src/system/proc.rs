//! What Linux tells in `/proc`. Elsewhere the files are not there, and nothing is known.

use std::fs;
use std::path::Path;

use crate::Metrics;

/// Ticks of processor time a second: a constant of Linux's interface on all platforms that Rust has.
const TICKS: f64 = 100.0;

/// The share of the last ten seconds in which something waited for a resource, from 0 to 1.
pub(super) fn pressure(root: &Path, resource: &str) -> Option<f64> {
    let text = fs::read_to_string(root.join("proc/pressure").join(resource)).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let mut fields = some.split(' ');
    let percent: f64 = fields
        .find_map(|field| field.strip_prefix("avg10="))?
        .parse()
        .ok()?;
    Some(percent / 100.0)
}

/// What this process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    cpu_seconds: f64,
    resident: u64,
    threads: u64,
    open_files: u64,
    max_open_files: Option<u64>,
}

impl Process {
    pub(super) fn read(root: &Path) -> Option<Self> {
        let own = root.join("proc/self");
        let status = fs::read_to_string(own.join("status")).ok()?;
        let number = |key: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            cpu_seconds: cpu_seconds(&fs::read_to_string(own.join("stat")).ok()?)?,
            resident: number("VmRSS:")? * 1024,
            threads: number("Threads:")?,
            // The folder that is being read is open itself.
            open_files: (fs::read_dir(own.join("fd")).ok()?.count() as u64).saturating_sub(1),
            max_open_files: max_open_files(&own),
        })
    }

    pub(super) fn set(&self, metrics: &Metrics) {
        metrics.set_gauge("process.cpu", self.cpu_seconds);
        metrics.set_gauge("process.resident-memory", self.resident as f64);
        metrics.set_gauge("process.threads", self.threads as f64);
        metrics.set_gauge("process.open-files", self.open_files as f64);
        if let Some(max) = self.max_open_files {
            metrics.set_gauge("process.max-open-files", max as f64);
        }
    }
}

/// Time in user and in system mode. The name of the program stands before them, and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || -> Option<u64> { fields.next()?.parse().ok() };
    Some((ticks()? + ticks()?) as f64 / TICKS)
}

/// The soft limit; `None` if there is none.
fn max_open_files(own: &Path) -> Option<u64> {
    let limits = fs::read_to_string(own.join("limits")).ok()?;
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
