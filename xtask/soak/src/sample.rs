//! Resources of a process, read from `/proc` and from its folder.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The resources of a process at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Seconds since the first task.
    pub(crate) at: f64,
    /// Resident memory in MiB.
    pub(crate) memory: f64,
    pub(crate) descriptors: f64,
    pub(crate) threads: f64,
    /// Size of its folder in MiB.
    pub(crate) disk: f64,
    /// Exited children that it has not waited for.
    pub(crate) zombies: f64,
    /// CPU time in seconds, without its children.
    pub(crate) cpu_time: f64,
}

const MIB: f64 = (1 << 20) as f64;

/// Clock ticks per second in `/proc`, constant on Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

impl Sample {
    /// Samples a process and its folder.
    pub(crate) fn take(pid: u32, data: &Path, at: f64) -> Result<Self> {
        let status =
            fs::read_to_string(format!("/proc/{pid}/status")).context("the process has exited")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        Ok(Self {
            at,
            memory: number(&status, "VmRSS:") * 1024.0 / MIB,
            descriptors: descriptors as f64,
            threads: number(&status, "Threads:"),
            disk: size(data) as f64 / MIB,
            zombies: zombies(pid) as f64,
            cpu_time: cpu_time(&stat),
        })
    }
}

/// Returns the number after a name in `/proc/PID/status`.
fn number(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Returns the fields of `/proc/PID/stat` after the program name, which may contain any character.
fn fields(stat: &str) -> Vec<&str> {
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split_whitespace().collect()
}

fn cpu_time(stat: &str) -> f64 {
    let fields = fields(stat);
    // `utime` and `stime`.
    let ticks = fields.iter().skip(11).take(2);
    let ticks = ticks.filter_map(|it| it.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

fn zombies(parent: u32) -> usize {
    let stats = processes().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    stats.filter(|stat| is_zombie_of(stat, parent)).count()
}

fn is_zombie_of(stat: &str, parent: u32) -> bool {
    let fields = fields(stat);
    fields.starts_with(&["Z", &parent.to_string()])
}

/// Returns the ids of all processes.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the number of bytes in a folder, without files that are removed meanwhile.
pub(crate) fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn own_process_can_be_sampled() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), vec![0; 1 << 20]).expect("a file");
        let sample = Sample::take(std::process::id(), folder.path(), 0.0).expect("a sample");
        assert!(sample.memory > 0.1 && sample.descriptors >= 3.0 && sample.threads >= 1.0);
        assert!((sample.disk - 1.0).abs() < 0.01, "{sample:?}");
    }

    #[test]
    fn program_name_may_contain_fields() {
        let stat = "7 (a) Z 1 (b) Z 42 0 0 0 0 0 0 0 0 0 150 50 0";
        assert!(is_zombie_of(stat, 42) && !is_zombie_of(stat, 1));
        assert!((cpu_time(stat) - 2.0).abs() < 1e-9);
    }
}
