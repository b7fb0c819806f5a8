//! The worker's side of Taskcluster's worker-runner protocol, over standard input and output.
//!
//! Worker-runner starts a worker and talks to it in lines: `~` and a JSON object is a message, whatever
//! else comes is log text. Standard output belongs to the conversation: nothing else may write there, and the worker's log
//! goes through [`WorkerRunner::log_lines`].
//!
//! | from worker-runner | what happens here |
//! | --- | --- |
//! | `welcome` | is answered with `hello`: what both sides can do |
//! | `graceful-termination` | [`Termination`], a source of shutdown: finish tasks, or stop now |
//! | `new-credentials` | go into a [`CredentialsCell`](runtime_core::CredentialsCell) |
//!
//! | to worker-runner | how |
//! | --- | --- |
//! | `log` | [`WorkerRunner::log`], [`WorkerRunner::log_lines`] |
//! | `error-report` | [`WorkerRunner::report_error`] |
//! | `shutdown` | [`WorkerRunner::shutdown`]: turn this machine off |
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
//! let (runner, termination) = runner::connect(input, tokio::io::sink(), Arc::clone(&credentials));
//! runner.welcomed().await;
//! assert!(runner.log("the worker is up"));
//! # drop(termination);
//! # }
//! ```

mod lines;
mod message;
mod session;

pub use lines::LogLines;
pub use message::{ErrorReport, FromRunner, Line, ToRunner, parse_line};
pub use session::{Termination, WorkerRunner, connect};
