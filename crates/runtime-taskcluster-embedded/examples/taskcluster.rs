//! An embedded Taskcluster as a program, for workers in any language.
//!
//! ```text
//! cargo run -p runtime-taskcluster-embedded --all-features --example taskcluster -- --help
//! ```
//!
//! It prints environment variables to export and serves until SIGINT or SIGTERM. The root URL is also
//! an HTML page.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use runtime_taskcluster_embedded::{Taskcluster, TaskclusterBuilder};

const USAGE: &str = "\
usage: taskcluster [OPTIONS]

  --port N                 listen on 127.0.0.1:N (default: a free port)
  --claim-timeout SECONDS  lifetime of claims (default: 1200)
  --long-poll SECONDS      time for which claimWork waits for a task (default: 20)
  --data DIR               store artifacts in DIR (default: a temporary folder)
  --help                   print this text

The root URL is printed as TASKCLUSTER_ROOT_URL, and is also an HTML page. Faults and time are set at its path
/control: see the documentation of `FaultRule`.";

#[tokio::main]
async fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let builder = match configure(env::args().skip(1)) {
        Ok(builder) => builder,
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match builder.start().await {
        Ok(taskcluster) => serve(taskcluster).await,
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            eprintln!("{error}: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn configure(mut args: impl Iterator<Item = String>) -> Result<TaskclusterBuilder, String> {
    let mut builder = Taskcluster::builder();
    while let Some(option) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| format!("missing value for `{option}`"))?;
        builder = match option.as_str() {
            "--port" => builder.port(number(&option, &value)?),
            "--claim-timeout" => {
                builder.claim_timeout(Duration::from_secs(number(&option, &value)?))
            }
            "--long-poll" => builder.long_poll(Duration::from_secs(number(&option, &value)?)),
            "--data" => builder.data_dir(value),
            _ => return Err(format!("unknown option `{option}`")),
        };
    }
    Ok(builder)
}

fn number<N: std::str::FromStr>(option: &str, value: &str) -> Result<N, String> {
    value
        .parse()
        .map_err(|_| format!("invalid number `{value}` for `{option}`"))
}

async fn serve(taskcluster: Taskcluster) -> ExitCode {
    let credentials = taskcluster.credentials();
    let access_token = credentials.secrets().next().unwrap_or_default();
    println!("export TASKCLUSTER_ROOT_URL={}", taskcluster.root_url());
    println!("export TASKCLUSTER_CLIENT_ID={}", credentials.client_id);
    println!("export TASKCLUSTER_ACCESS_TOKEN={access_token}");
    let stopped = stop_signal().await;
    taskcluster.stop().await;
    match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to wait for signals: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(unix)]
async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
