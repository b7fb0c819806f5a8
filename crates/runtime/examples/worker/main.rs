//! A worker that runs Taskcluster tasks as processes of this machine.
//!
//! `cargo run --example worker` starts an embedded Taskcluster, runs the demo tasks and prints their results.
//! `--help` lists the options.

mod app;
mod args;
mod checks;
mod config;
mod connect;
mod definition;
mod demo;
mod hooks;
mod output;
mod print;
mod progress;
mod reports;
mod signals;
mod sources;
mod status;
mod summary;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use tokio::runtime::Runtime;

use args::Args;
use config::Config;

/// The time for blocking calls to return when the work is done.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error_line(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let runtime = Runtime::new()?;
    let result = runtime.block_on(run_mode(args));
    // A read of standard input cannot be cancelled, and worker-runner keeps it open until the worker has exited.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}

async fn run_mode(args: &Args) -> Result<()> {
    if let Some(text) = print::requested_text(args).await? {
        return output::result(text).context("cannot print");
    }
    let root_url = args.root_url()?;
    if let Some(file) = &args.config {
        let config = Config::load(file, root_url.as_deref())?;
        return connect(args, &config).await;
    }
    let Some(root_url) = &root_url else {
        ensure!(!args.check, "--check needs --connect or --config");
        return demo::run(args).await;
    };
    let folder = app::temporary_folder()?;
    let data = args.data.as_deref().unwrap_or(folder.path());
    let config = Config::from_args(args, root_url, data)?;
    connect(args, &config).await
}

async fn connect(args: &Args, config: &Config) -> Result<()> {
    if args.check {
        connect::check(config).await
    } else {
        connect::run(config, args.json).await
    }
}
