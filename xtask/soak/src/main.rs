//! Runs random tasks with random faults against a worker process and checks it for leaks.
//!
//! `cargo xtask soak` builds the example worker and starts this program. The worker claims from an embedded Taskcluster
//! in this process and is sampled from outside, through `/proc`. A seed repeats the random choices, but not their timing
//! relative to the worker.

mod assertions;
mod faults;
mod flags;
mod history;
mod plot;
mod report;
mod sample;
mod soak_test;
mod tasks;
mod viewers;
mod worker;

use std::process::ExitCode;

use anyhow::Result;

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
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; repeat with --seed {seed}");
    let history = runtime.block_on(soak_test::run(flags, seed))?;
    let evaluation = assertions::evaluate(&history);
    report::write(&flags.out, &history, &evaluation)?;
    Ok(evaluation.failures)
}
