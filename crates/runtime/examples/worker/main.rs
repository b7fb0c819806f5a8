//! A worker that runs Taskcluster tasks as processes of this machine.
//!
//! `cargo run --example worker` starts an embedded Taskcluster, runs the demo tasks and prints their results.
//! `--help` lists the commands of a complete worker.

use std::process::ExitCode;

use runtime::app::WorkerApp;
use runtime::process::{ProcessConfig, ProcessEngine};

/// The names and definitions of the demo tasks, in the order of their creation.
const DEMO_TASKS: &[(&str, &str)] = &[
    ("make", include_str!("tasks/make.yml")),
    ("fetch", include_str!("tasks/fetch.yml")),
    ("warm", include_str!("tasks/warm.yml")),
    ("fail", include_str!("tasks/fail.yml")),
    ("malformed", include_str!("tasks/malformed.yml")),
    ("cancel", include_str!("tasks/cancel.yml")),
];

fn main() -> ExitCode {
    WorkerApp::new("worker", env!("CARGO_PKG_VERSION"))
        .about("Runs Taskcluster tasks as processes of this machine. Without arguments, runs demo tasks.")
        .engine(|mut config: ProcessConfig, parts| {
            // Without a configuration, tasks find the same programs as this process.
            if let (None, Ok(path)) = (parts.config_file, std::env::var("PATH")) {
                config.env.insert("PATH".to_owned(), path);
            }
            config.to_engine()
        })
        .end_leftovers(ProcessEngine::kill_leftovers)
        .demo_tasks(DEMO_TASKS)
        .run()
}
