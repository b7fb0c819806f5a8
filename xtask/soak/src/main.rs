//! Lets a worker run random tasks while random calls go wrong, and watches what it takes of the machine.
//!
//! `cargo xtask soak` builds the example worker and this program. The worker is a process of its own, claims from an
//! embedded Taskcluster in this one, and is looked at from outside, through `/proc`. A seed repeats the choices; when
//! they meet the worker depends on the machine.

mod course;
mod faults;
mod flags;
mod judge;
mod plot;
mod report;
mod run;
mod sample;
mod tasks;
mod viewers;
mod worker;

use std::process::ExitCode;

use anyhow::Result;

use crate::flags::Soak;

fn main() -> ExitCode {
    let flags = Soak::from_env_or_exit();
    match soak(&flags) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the worker passed.
fn soak(flags: &Soak) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; the same choices again: --seed {seed}");
    let course = runtime.block_on(run::run(flags, seed))?;
    let verdict = judge::judge(&course);
    report::write(&flags.out, &course, &verdict)?;
    verdict
        .failures
        .iter()
        .for_each(|it| println!("FAILED: {it}"));
    Ok(verdict.failures.is_empty())
}
