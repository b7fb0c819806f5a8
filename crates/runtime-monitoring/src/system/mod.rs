//! Gauges of the machine and of this process.

mod procfs;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime_core::monitor::Counter;
use runtime_gc::{Disk, Memory, SystemStats};
use runtime_ioext::log::Redactor;

use self::procfs::ProcessStats;
use crate::metrics::Metrics;

/// Sets gauges of the machine's free resources and of this process's usage.
///
/// | | Linux | other Unix | elsewhere |
/// | --- | --- | --- | --- |
/// | disk, inodes, memory | from the [`SystemStats`] | the same | the same |
/// | pressure of cpu, io, memory | `/proc/pressure` | unset | unset |
/// | CPU time, memory, threads, open files of this process | `/proc/self` | unset | unset |
///
/// A gauge whose value cannot be read is not set.
#[derive(Clone)]
pub struct MachineGauges {
    stats: Arc<dyn SystemStats>,
    root: PathBuf,
    redactions: Option<RedactionCount>,
}

/// Transfers the hits of a redactor, which counts them itself, to a counter.
#[derive(Clone)]
struct RedactionCount {
    redactor: Redactor,
    /// The hits transferred already.
    transferred: Arc<AtomicU64>,
}

impl MachineGauges {
    /// Creates gauges that read disk and memory from `stats`, such as [`HostStats`](runtime_gc::HostStats).
    pub fn new(stats: impl SystemStats) -> Self {
        Self {
            stats: Arc::new(stats),
            root: PathBuf::from("/"),
            redactions: None,
        }
    }

    /// Also counts the redactions of `redactor`.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactions = Some(RedactionCount {
            redactor,
            transferred: Arc::default(),
        });
        self
    }

    /// Reads `/proc` below `root`, for tests.
    #[must_use]
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// Reads all values once. Takes a few system calls and does not block.
    pub fn sample(&self, metrics: &Metrics) {
        let stats = self.stats.read();
        if let Some(disk) = stats.disk.known() {
            set_disk(metrics, disk);
        }
        if let Some(memory) = stats.memory.known() {
            set_memory(metrics, memory);
        }
        for resource in ["cpu", "io", "memory"] {
            if let Some(share) = procfs::pressure(&self.root, resource) {
                metrics.set_gauge_with("pressure", &[("resource", resource)], share);
            }
        }
        if let Some(process) = ProcessStats::read(&self.root) {
            set_process(metrics, &process);
        }
        if let Some(redactions) = &self.redactions {
            redactions.transfer(&metrics.counter("redactions"));
        }
    }
}

impl RedactionCount {
    fn transfer(&self, counter: &Counter) {
        // A counter only grows, so it receives the difference to the previous sample.
        let hits = self.redactor.hits();
        let before = self.transferred.swap(hits, Ordering::Relaxed);
        counter.add(hits.saturating_sub(before));
    }
}

fn set_disk(metrics: &Metrics, disk: &Disk) {
    metrics.set_gauge("disk-total", disk.total as f64);
    metrics.set_gauge("disk-free", disk.free as f64);
    // Btrfs, for example, has no fixed number of inodes and reports 0.
    if disk.inodes > 0 {
        metrics.set_gauge("inodes-free", disk.free_inodes as f64);
    }
}

fn set_memory(metrics: &Metrics, memory: &Memory) {
    metrics.set_gauge("memory-total", memory.total as f64);
    metrics.set_gauge("memory-available", memory.available as f64);
}

fn set_process(metrics: &Metrics, process: &ProcessStats) {
    metrics.set_gauge("process.cpu", process.cpu_seconds);
    metrics.set_gauge("process.resident-memory", process.resident_bytes as f64);
    metrics.set_gauge("process.threads", process.threads as f64);
    metrics.set_gauge("process.open-files", process.open_files as f64);
    if let Some(max) = process.max_open_files {
        metrics.set_gauge("process.max-open-files", max as f64);
    }
}

impl fmt::Debug for MachineGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineGauges")
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
