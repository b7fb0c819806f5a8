//! A complete worker around an engine: command line, configuration, logs, status page, caches and shutdown.
//!
//! A complete program, with the process engine:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use runtime_app::WorkerApp;
//! use runtime_process::{ProcessConfig, ProcessEngine};
//!
//! fn main() -> ExitCode {
//!     WorkerApp::new("my-worker", env!("CARGO_PKG_VERSION"))
//!         .engine(|config: ProcessConfig, _| config.to_engine())
//!         .end_leftovers(ProcessEngine::kill_leftovers)
//!         .run()
//! }
//! ```
//!
//! | command | function |
//! | --- | --- |
//! | `run --config FILE` | claims tasks as configured, until it is stopped |
//! | `check --config FILE` | checks configuration, root URL, clock, credentials, scopes and disk, with advice |
//! | `print-config --config FILE` | prints the effective configuration with its layers, without secrets |
//! | `schema` | prints the JSON schema of the configuration |
//! | `docs` | prints the documentation for authors of tasks |
//! | `run-task FILE` | runs a task on an embedded Taskcluster, prints its log and its result, and exits with the task's exit code |
//! | `dev` | runs the worker with an embedded Taskcluster, for other clients |
//! | `completions SHELL` | prints a script that completes commands and options |
//!
//! The package also contains the program `taskcluster-dev`, a Taskcluster for one machine that keeps its state; see
//! [`runtime_dev_server`].
//!
//! The configuration has the sections `worker`, `engine`, `webHooks` and `monitoring`, and the key `statusPort`. The
//! program [defines](WorkerApp::engine) the type of the section `engine`, which is checked together with the others.
//! Values may refer to environment variables, files and secrets of Taskcluster, and the worker pool may override
//! settings: see [`ConfigDocument`](runtime_worker::config::ConfigDocument).
//!
//! This crate only assembles the other crates; a program can also use these directly. In contrast to the other crates,
//! this one is an application: it reads the environment, installs the log of the process and listens to signals.

mod account;
mod args;
mod assembly;
mod bootstrap;
mod config;
mod config_loader;
mod connect;
mod hooks;
mod local_tasks;
mod machine_check;
mod parts;
mod print;
mod program;
mod progress;
mod signals;
mod sources;
mod status;
#[cfg(unix)]
mod systemd;
mod worker_app;

pub use parts::AppParts;
pub use runtime_dev_server as dev_server;
pub use worker_app::{NoEngine, WithEngine, WorkerApp};
