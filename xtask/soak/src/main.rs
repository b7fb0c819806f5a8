//! Runs random tasks with random faults against workers and checks them for leaks.
//!
//! `cargo xtask soak` builds the programs and starts this one, which starts a Taskcluster server and workers, and samples
//! them from outside, through `/proc`. A seed repeats the random events, but not the timing of the workers.

mod assertions;
mod faults;
mod flags;
mod history;
mod leftovers;
mod load;
mod logs;
mod no_op;
mod process;
mod queue;
mod report;
mod sample;
mod schedule;
mod server;
mod soak_test;
mod tasks;
mod totals;
mod viewers;
mod worker;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::flags::Soak;

fn main() -> ExitCode {
    let flags = Soak::from_env_or_exit();
    match run(&flags) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            for failure in failures {
                println!("FAILED: {failure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the test and writes the report; returns the failed assertions.
fn run(flags: &Soak) -> Result<Vec<String>> {
    // One thread is sufficient, and leaves the other cores to the worker.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    flags.check()?;
    fs::create_dir_all(&flags.out)
        .with_context(|| format!("cannot create {}", flags.out.display()))?;
    if let Some(tasks) = flags.no_op {
        return runtime.block_on(no_op::run(flags, tasks));
    }
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; repeat with --seed {seed}");
    let history = runtime.block_on(soak_test::run(flags, seed))?;
    let evaluation = assertions::evaluate(&history);
    report::write(&flags.out, &history, &evaluation)?;
    Ok(evaluation.failures)
}
