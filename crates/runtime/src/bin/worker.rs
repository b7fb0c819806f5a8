//! A worker that runs Taskcluster tasks as processes of this machine. See `--help`.

use std::process::ExitCode;

use runtime::app::WorkerApp;
use runtime::process::{ProcessConfig, ProcessEngine};

fn main() -> ExitCode {
    WorkerApp::new("worker", env!("CARGO_PKG_VERSION"))
        .about("Runs Taskcluster tasks as processes of this machine, behind walls and below limits if so configured.")
        .engine(|mut config: ProcessConfig, parts| {
            // Without a configuration, tasks find the same programs as this process.
            if let (None, Ok(path)) = (parts.config_file, std::env::var("PATH")) {
                config.env.insert("PATH".to_owned(), path);
            }
            config.to_engine()
        })
        .end_leftovers(ProcessEngine::kill_leftovers)
        .run()
}
