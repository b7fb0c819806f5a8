//! The command line, which `cargo xtask soak` provides.

use std::path::PathBuf;
use std::time::Duration;

xflags::xflags! {
    /// Runs random tasks and faults against workers and checks them for leaks.
    cmd soak {
        /// The example worker.
        required --worker path: PathBuf
        /// The program with the embedded Taskcluster.
        required --server path: PathBuf
        /// The folder for the plots, the tables and the logs of all programs.
        required --out folder: PathBuf
        /// Duration of the load in minutes; default: 3.
        optional --minutes minutes: u64
        /// Tasks created per minute; default: 40.
        optional --rate tasks: u64
        /// Seed of the random choices; default: a new one.
        optional --seed seed: u64
        /// Workers on the queue; default: 1.
        optional --workers count: usize
        /// The walls around tasks: none, user or strict; default: none.
        optional --isolation level: String
        /// Kill the server, and all workers except the first, at random times.
        optional --crashes
        /// Step the clock of the server forward at random times; a restart steps it back.
        optional --clock-steps
        /// Run this number of no-op tasks instead, as fast as the first worker can.
        optional --no-op tasks: u64
    }
}

impl Soak {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.minutes.unwrap_or(3).saturating_mul(60))
    }

    /// Returns the mean number of seconds between two tasks.
    pub(crate) fn task_interval(&self) -> f64 {
        60.0 / self.rate.unwrap_or(40).max(1) as f64
    }

    pub(crate) fn worker_count(&self) -> usize {
        self.workers.unwrap_or(1).max(1)
    }

    pub(crate) fn isolation(&self) -> &str {
        self.isolation.as_deref().unwrap_or("none")
    }
}
