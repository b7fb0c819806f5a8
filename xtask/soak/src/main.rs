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
use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tokio::signal::ctrl_c;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

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
    flags.check()?;
    // One thread is sufficient, and leaves the other cores to the worker.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    fs::create_dir_all(&flags.out)
        .with_context(|| format!("cannot create {}", flags.out.display()))?;
    runtime.block_on(async {
        // A signal drops the test, which ends its programs.
        tokio::select! {
            failures = test(flags) => failures,
            signal = stop_signal() => bail!("stopped by {}", signal?),
        }
    })
}

/// Returns the name of the next signal that stops the test.
async fn stop_signal() -> io::Result<&'static str> {
    #[cfg(unix)]
    let terminated = async {
        let mut terminate = signal(SignalKind::terminate())?;
        terminate.recv().await;
        Ok("SIGTERM")
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending();
    tokio::select! {
        signal = terminated => signal,
        signal = ctrl_c() => signal.map(|()| "Ctrl-C"),
    }
}

async fn test(flags: &Soak) -> Result<Vec<String>> {
    if let Some(tasks) = flags.no_op {
        return no_op::run(flags, tasks).await;
    }
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; repeat with --seed {seed}");
    let history = soak_test::run(flags, seed).await?;
    let evaluation = assertions::evaluate(&history);
    report::write(&flags.out, &history, &evaluation)?;
    Ok(evaluation.failures)
}
