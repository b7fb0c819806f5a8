//! The command line, which `cargo xtask soak` provides.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

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
    /// Refuses options that would have no effect.
    pub(crate) fn check(&self) -> Result<()> {
        let of_random_tasks = [
            ("--minutes", self.minutes.is_some()),
            ("--rate", self.rate.is_some()),
            ("--seed", self.seed.is_some()),
            ("--workers", self.workers.is_some()),
            ("--crashes", self.crashes),
            ("--clock-steps", self.clock_steps),
        ];
        let given = of_random_tasks
            .into_iter()
            .filter(|(_, is_given)| *is_given);
        let names: Vec<&str> = given.map(|(name, _)| name).collect();
        ensure!(
            self.no_op.is_none() || names.is_empty(),
            "no-op tasks run without {}; remove that or `--no-op`",
            names.join(", ")
        );
        Ok(())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &[&str]) -> Result<()> {
        let required = ["--worker", "w", "--server", "s", "--out", "o"];
        let args = required.iter().chain(options).map(Into::into).collect();
        Soak::from_vec(args).expect("known options").check()
    }

    #[test]
    fn no_op_refuses_options_of_random_tasks() {
        let refused = check(&["--no-op", "9", "--seed", "1", "--crashes"]);
        let error = refused.expect_err("no effect").to_string();
        assert!(error.contains("--seed, --crashes"), "{error}");
        check(&["--no-op", "9", "--isolation", "strict"]).expect("tasks have walls");
        check(&["--seed", "1", "--crashes"]).expect("random tasks");
    }
}
