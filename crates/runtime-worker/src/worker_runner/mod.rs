//! The worker's side of Taskcluster's worker-runner protocol, over standard input and output.
//!
//! Worker-runner starts a worker and exchanges lines with it. A line of `~` and a JSON object is a message; any other line
//! is log text. The connection owns standard output, so the worker's log must be written to
//! [`WorkerRunner::log_lines`].
//!
//! | from worker-runner | handled by |
//! | --- | --- |
//! | `welcome` | a reply `hello` with the capabilities of both sides |
//! | `graceful-termination` | [`RunnerShutdownSource`], a source of shutdown requests |
//! | `new-credentials` | an update of the [`CredentialsCell`](runtime_core::CredentialsCell) |
//!
//! [`RunnerConfig`] is the configuration that it writes.
//!
//! | to worker-runner | sent by |
//! | --- | --- |
//! | `log` | [`WorkerRunner::log`], [`WorkerRunner::log_lines`] |
//! | `error-report` | [`WorkerRunner::report_error`] |
//! | `shutdown` | [`WorkerRunner::shutdown`] |
//!
//! ```
//! # use std::sync::Arc;
//! use runtime_core::CredentialsCell;
//! use runtime_worker::worker_runner;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let credentials = Arc::new(CredentialsCell::new(None));
//! // An application passes `tokio::io::BufReader::new(tokio::io::stdin())` and `tokio::io::stdout()`.
//! let input = &b"~{\"type\":\"welcome\",\"capabilities\":[\"log\",\"time-travel\"]}\n"[..];
//! let (runner, termination) = worker_runner::connect(input, tokio::io::sink(), Arc::clone(&credentials));
//! runner.welcomed().await;
//! assert!(runner.log("the worker is up"));
//! # drop(termination);
//! # }
//! ```

mod config_file;
mod lines;
mod message;
mod outgoing;
mod session;

pub use config_file::RunnerConfig;
pub use lines::LogLineWriter;
pub use message::{ErrorReport, FromRunner, Line, ToRunner, parse_line};
pub use session::{RunnerShutdownSource, WorkerRunner, connect};
