//! A worker that runs Taskcluster tasks as processes of this machine.
//!
//! `cargo run --example worker` starts an embedded Taskcluster, runs demo tasks and prints how they
//! ended; `--help` tells the rest.

mod access;
mod args;
mod assemble;
mod config;
mod connect;
mod definition;
mod embedded;
mod hooks;
mod out;
mod print;
mod progress;
mod reports;
mod signals;
mod status;
mod summary;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::runtime::Runtime;

use args::Args;
use config::Config;

/// How long what blocks has to end when the work is done.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(work(args));
    // Nothing ends a read of standard input, and worker-runner keeps that open until the worker has ended.
    runtime.shutdown_timeout(PATIENCE);
    outcome
}

async fn work(args: &Args) -> Result<()> {
    if let Some(text) = print::wanted(args).await? {
        return out::result(text).context("cannot print what was asked for");
    }
    match (&args.config, &args.connect) {
        (Some(file), connect) => {
            let config = Config::load(file, connect.as_deref())?;
            connect::run(&config, args.json).await
        }
        (None, Some(root_url)) => {
            let folder = assemble::temporary_folder()?;
            let data = args.data.as_deref().unwrap_or(folder.path());
            let config = Config::of_args(args, root_url, data)?;
            connect::run(&config, args.json).await
        }
        (None, None) => embedded::run(args).await,
    }
}
