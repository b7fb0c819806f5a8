//! The connection to worker-runner.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{Credentials, CredentialsCell, ShutdownNotice, ShutdownSource};
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::lines::{LogLineWriter, next_lines};
use super::message::{ErrorReport, FromRunner, Line, ToRunner, parse_line};
use super::outgoing::Outgoing;

/// The capabilities of this side.
const CAPABILITIES: [&str; 5] = [
    "error-report",
    "graceful-termination",
    "log",
    "new-credentials",
    "shutdown",
];

/// Number of messages that may wait to be written.
const QUEUE_DEPTH: usize = 1024;

/// A connection to worker-runner. Dropping all clones closes it.
#[derive(Clone, Debug)]
pub struct WorkerRunner {
    outbox: mpsc::Sender<Outgoing>,
    log_lines: mpsc::Sender<Outgoing>,
    /// The capabilities of both sides; `None` before `welcome`.
    capabilities: watch::Receiver<Option<Vec<String>>>,
    _tasks: Arc<JoinSet<()>>,
}

/// The shutdown requests of worker-runner.
#[derive(Debug)]
pub struct RunnerShutdownSource {
    notices: mpsc::Receiver<ShutdownNotice>,
    /// Keeps the connection open.
    _runner: WorkerRunner,
}

/// Opens a connection, which owns `output`. New credentials are stored in `cell`.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn connect(
    input: impl AsyncBufRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    cell: Arc<CredentialsCell>,
) -> (WorkerRunner, RunnerShutdownSource) {
    let (outbox, messages) = mpsc::channel(QUEUE_DEPTH);
    // One write at a time: the log thread waits for worker-runner instead of buffering without a limit.
    let (log_lines, log) = mpsc::channel(1);
    let (capabilities_sender, capabilities) = watch::channel(None);
    let (notice_sender, notices) = mpsc::channel(8);
    let reader = MessageReader {
        cell,
        capabilities: capabilities_sender,
        notices: notice_sender,
        outbox: outbox.clone(),
    };
    let capabilities_of_log = capabilities.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(reader.run(input));
    tasks.spawn(async move {
        // An error means that worker-runner has exited. The worker cannot report it elsewhere.
        let _ = write_messages(messages, log, capabilities_of_log, output).await;
    });
    let runner = WorkerRunner {
        outbox,
        log_lines,
        capabilities,
        _tasks: Arc::new(tasks),
    };
    let termination = RunnerShutdownSource {
        notices,
        _runner: runner.clone(),
    };
    (runner, termination)
}

impl WorkerRunner {
    /// Waits for `welcome`. Returns `false` if the connection closed before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn welcomed(&self) -> bool {
        let mut capabilities = self.capabilities.clone();
        capabilities.wait_for(Option::is_some).await.is_ok()
    }

    /// Sends a line for the log of the machine. Returns `false` if worker-runner does not accept logs or its queue is full.
    pub fn log(&self, text: &str) -> bool {
        self.send(ToRunner::Log {
            body: json!({ "textPayload": text }),
        })
    }

    /// Returns a writer for lines that are encoded as `log` messages, such as those of a log in the format `workerproto`.
    #[must_use]
    pub fn log_lines(&self) -> LogLineWriter {
        LogLineWriter(self.log_lines.clone())
    }

    /// Waits until all messages so far are written. Returns `false` if the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&self) -> bool {
        let (written, is_written) = oneshot::channel();
        // An empty message: it is written after the ones before it.
        let marker = Outgoing {
            bytes: Vec::new(),
            written: Some(written),
        };
        self.outbox.send(marker).await.is_ok() && is_written.await.is_ok()
    }

    /// Reports an error. Returns `false` if worker-runner does not accept error reports or its queue is full.
    pub fn report_error(&self, report: ErrorReport) -> bool {
        self.send(ToRunner::ErrorReport(report))
    }

    /// Requests to shut the machine down. Returns `false` if worker-runner does not support that.
    pub fn shutdown(&self) -> bool {
        self.send(ToRunner::Shutdown)
    }

    fn send(&self, message: ToRunner) -> bool {
        let is_supported = match message.capability() {
            Some(capability) => {
                let capabilities = self.capabilities.borrow();
                let mut names = capabilities.iter().flatten();
                names.any(|name| name == capability)
            }
            None => true,
        };
        is_supported && self.outbox.try_send(message.into()).is_ok()
    }
}

/// Reads and handles the messages of worker-runner.
struct MessageReader {
    cell: Arc<CredentialsCell>,
    capabilities: watch::Sender<Option<Vec<String>>>,
    notices: mpsc::Sender<ShutdownNotice>,
    outbox: mpsc::Sender<Outgoing>,
}

impl MessageReader {
    async fn run(self, mut input: impl AsyncBufRead + Unpin) {
        let mut line = Vec::new();
        loop {
            line.clear();
            match input.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    if let Line::Message(message) = parse_line(&String::from_utf8_lossy(&line)) {
                        self.handle(message).await;
                    }
                }
            }
        }
    }

    async fn handle(&self, message: FromRunner) {
        match message {
            FromRunner::Welcome { capabilities } => self.reply_hello(capabilities).await,
            FromRunner::GracefulTermination { finish_tasks } => {
                let reason = "requested by worker-runner";
                let notice = if finish_tasks {
                    ShutdownNotice::graceful(reason)
                } else {
                    ShutdownNotice::now(reason)
                };
                // Fails if the `RunnerShutdownSource` was dropped: the application ignores shutdown requests.
                let _ = self.notices.send(notice).await;
            }
            FromRunner::NewCredentials {
                client_id,
                access_token,
                certificate,
            } => self.cell.set(Credentials {
                client_id,
                access_token,
                certificate,
                expires: None,
            }),
            FromRunner::Other => {}
        }
    }

    async fn reply_hello(&self, mut capabilities: Vec<String>) {
        capabilities.retain(|name| CAPABILITIES.contains(&name.as_str()));
        let hello = ToRunner::Hello {
            capabilities: capabilities.clone(),
        };
        // Queued before the capabilities are published, so that no message that depends on them is written first.
        let _ = self.outbox.send(hello.into()).await;
        self.capabilities.send_replace(Some(capabilities));
    }
}

async fn write_messages(
    mut messages: mpsc::Receiver<Outgoing>,
    mut log: mpsc::Receiver<Outgoing>,
    mut capabilities: watch::Receiver<Option<Vec<String>>>,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    loop {
        let next = tokio::select! {
            // `hello` has to be written before the log lines that it allows.
            biased;
            Some(message) = messages.recv() => message,
            Some(lines) = next_lines(&mut log, &mut capabilities) => lines,
            else => return Ok(()),
        };
        output.write_all(&next.bytes).await?;
        output.flush().await?;
        if let Some(written) = next.written {
            // Fails if the sender no longer waits.
            let _ = written.send(());
        }
    }
}

#[async_trait]
impl ShutdownSource for RunnerShutdownSource {
    fn name(&self) -> &'static str {
        "worker-runner"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.notices.recv().await
    }
}
