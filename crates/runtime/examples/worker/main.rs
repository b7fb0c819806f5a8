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
mod print;
mod progress;
mod signals;
mod status;
mod summary;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use args::Args;
use config::Config;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match print::wanted(&args).await {
        Ok(Some(text)) => {
            println!("{text}");
            Ok(())
        }
        Ok(None) => work(&args).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn work(args: &Args) -> Result<()> {
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
