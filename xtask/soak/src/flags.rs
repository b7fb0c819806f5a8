//! The command line; `cargo xtask soak` fills it in.

use std::path::PathBuf;

xflags::xflags! {
    /// Soaks a worker.
    cmd soak {
        /// The example worker.
        required --worker path: PathBuf
        /// Where the plots and the table go.
        required --out folder: PathBuf
        /// For how long tasks come; 3 by default.
        optional --minutes minutes: u64
        /// How many tasks come in a minute on average; 40 by default.
        optional --rate tasks: u64
        /// What to choose by; another one each time by default.
        optional --seed seed: u64
    }
}

impl Soak {
    pub(crate) fn length(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.minutes.unwrap_or(3).saturating_mul(60))
    }

    /// Seconds between two tasks, on average.
    pub(crate) fn pause(&self) -> f64 {
        60.0 / self.rate.unwrap_or(40).max(1) as f64
    }
}
