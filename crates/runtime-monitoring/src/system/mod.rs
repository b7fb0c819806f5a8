//! Gauges of the machine and of this process.

mod proc;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runtime_core::monitor::Counter;
use runtime_gc::{Disk, Memory, SystemStats};
use runtime_ioext::log::Redactor;

use self::proc::Process;
use crate::Metrics;

/// Reads how much of the machine is left and what this process takes, and sets gauges of it.
///
/// | | Linux | other Unix | elsewhere |
/// | --- | --- | --- | --- |
/// | disk, inodes, memory | what the [`SystemStats`] reads | the same | the same |
/// | pressure of cpu, io, memory | `/proc/pressure` | absent | absent |
/// | processor time, memory, threads, open files of this process | `/proc/self` | absent | absent |
///
/// What cannot be read is not set.
#[derive(Clone)]
pub struct MachineGauges {
    pressure: Arc<dyn SystemStats>,
    root: PathBuf,
    redactions: Option<Redactions>,
}

#[derive(Clone)]
struct Redactions {
    redactor: Redactor,
    counted: Arc<AtomicU64>,
}

impl MachineGauges {
    /// Reads disk and memory there, such as from [`HostStats`](runtime_gc::HostStats).
    pub fn new(pressure: impl SystemStats) -> Self {
        Self {
            pressure: Arc::new(pressure),
            root: PathBuf::from("/"),
            redactions: None,
        }
    }

    /// Also counts how often a secret was taken out of something.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactions = Some(Redactions {
            redactor,
            counted: Arc::default(),
        });
        self
    }

    /// Reads the files of another machine below `root`, for tests.
    #[must_use]
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// Reads everything once. It takes some system calls and waits for nothing else.
    pub fn sample(&self, metrics: &Metrics) {
        let readings = self.pressure.read();
        if let Some(disk) = readings.disk.known() {
            set_disk(metrics, disk);
        }
        if let Some(memory) = readings.memory.known() {
            set_memory(metrics, memory);
        }
        for resource in ["cpu", "io", "memory"] {
            if let Some(share) = proc::pressure(&self.root, resource) {
                metrics.set_gauge_with("pressure", &[("resource", resource)], share);
            }
        }
        if let Some(process) = Process::read(&self.root) {
            process.set(metrics);
        }
        if let Some(redactions) = &self.redactions {
            redactions.count(&metrics.counter("redactions"));
        }
    }
}

impl Redactions {
    fn count(&self, counter: &Counter) {
        let hits = self.redactor.hits();
        let before = self.counted.swap(hits, Ordering::Relaxed);
        counter.add(hits.saturating_sub(before));
    }
}

fn set_disk(metrics: &Metrics, disk: &Disk) {
    metrics.set_gauge("disk-total", disk.total as f64);
    metrics.set_gauge("disk-free", disk.free as f64);
    // Some file systems do not count inodes.
    if disk.inodes > 0 {
        metrics.set_gauge("inodes-free", disk.free_inodes as f64);
    }
}

fn set_memory(metrics: &Metrics, memory: &Memory) {
    metrics.set_gauge("memory-total", memory.total as f64);
    metrics.set_gauge("memory-available", memory.available as f64);
}

impl fmt::Debug for MachineGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineGauges")
            .field("pressure", &self.pressure)
            .finish_non_exhaustive()
    }
}
