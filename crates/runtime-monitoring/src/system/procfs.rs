//! Reads Linux's `/proc`. On other systems the files do not exist, and all functions return `None`.

use std::fs;
use std::path::Path;

/// Clock ticks per second in `/proc/<pid>/stat`: `USER_HZ`, which is 100 on all architectures that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the share of the last ten seconds in which at least one process was stalled on a resource, from 0 to 1.
///
/// Reads the line `some avg10=12.50 avg60=...` of pressure stall information (PSI).
pub(super) fn pressure(root: &Path, resource: &str) -> Option<f64> {
    let text = fs::read_to_string(root.join("proc/pressure").join(resource)).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some
        .split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?;
    let percent: f64 = average.parse().ok()?;
    Some(percent / 100.0)
}

/// The resource usage of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ProcessStats {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_files: u64,
    /// The soft limit, `None` if unlimited.
    pub(super) max_open_files: Option<u64>,
}

impl ProcessStats {
    pub(super) fn read(root: &Path) -> Option<Self> {
        let own = root.join("proc/self");
        let status = fs::read_to_string(own.join("status")).ok()?;
        Some(Self {
            cpu_seconds: cpu_seconds(&fs::read_to_string(own.join("stat")).ok()?)?,
            resident_bytes: number_after(&status, "VmRSS:")? * 1024,
            threads: number_after(&status, "Threads:")?,
            // Reading the directory opens a descriptor, which the directory then contains.
            open_files: (fs::read_dir(own.join("fd")).ok()?.count() as u64).saturating_sub(1),
            max_open_files: fs::read_to_string(own.join("limits"))
                .ok()
                .and_then(|limits| number_after(&limits, "Max open files")),
        })
    }
}

/// Returns the number behind `key` at the start of a line.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the sum of user and system time from `/proc/self/stat`.
///
/// The second field is the name of the program in parentheses, which may contain spaces and parentheses itself. Counting
/// therefore starts behind the last parenthesis, where `utime` and `stime` are the 12th and 13th field.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || -> Option<u64> { fields.next()?.parse().ok() };
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}
