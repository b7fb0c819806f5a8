//! A worker that runs Taskcluster tasks as processes of this machine.
//!
//! `cargo run --example worker` starts an embedded Taskcluster, runs demo tasks and prints how they
//! ended; `--help` tells the rest.

mod args;
mod assemble;
mod connect;
mod definition;
mod embedded;
mod hooks;
mod progress;
mod signals;
mod summary;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.web_hooks_schema {
        println!("{:#}", runtime::webhook::Config::schema().to_value());
        return ExitCode::SUCCESS;
    }
    let outcome = match &args.connect {
        Some(root_url) => connect::run(&args, root_url).await,
        None => embedded::run(&args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
