//! The command line, which `cargo xtask soak` provides.

use std::path::PathBuf;
use std::time::Duration;

xflags::xflags! {
    /// Runs random tasks and faults against a worker and checks it for leaks.
    cmd soak {
        /// The example worker.
        required --worker path: PathBuf
        /// The folder for the plots and the tables.
        required --out folder: PathBuf
        /// Duration of the load in minutes; default: 3.
        optional --minutes minutes: u64
        /// Tasks created per minute; default: 40.
        optional --rate tasks: u64
        /// Seed of the random choices; default: a new one.
        optional --seed seed: u64
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
}
