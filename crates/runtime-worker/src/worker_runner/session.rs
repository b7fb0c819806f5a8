//! A conversation with worker-runner.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{CredentialsCell, ShutdownNotice, ShutdownSource};
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::lines::{LogLines, LogLinesEnd};
use super::message::{ErrorReport, FromRunner, Line, ToRunner, credentials, parse_line};

/// What this side can do.
const CAPABILITIES: [&str; 5] = [
    "error-report",
    "graceful-termination",
    "log",
    "new-credentials",
    "shutdown",
];

/// How many messages may wait for worker-runner to read them.
const WAITING: usize = 1024;

/// Talks to worker-runner; dropping all clones ends the conversation.
#[derive(Clone, Debug)]
pub struct WorkerRunner {
    outbox: mpsc::Sender<Outgoing>,
    lines: mpsc::Sender<Outgoing>,
    /// What both sides can do; `None` before the welcome.
    agreed: watch::Receiver<Option<Vec<String>>>,
    _tasks: Arc<JoinSet<()>>,
}

/// Whole lines for worker-runner, and who wants to know that they are written.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// That worker-runner wants the worker to go, as a source of shutdown.
#[derive(Debug)]
pub struct Termination {
    notices: mpsc::Receiver<ShutdownNotice>,
    /// Keeps the conversation alive.
    _runner: WorkerRunner,
}

/// Starts a conversation, which owns `output`: whatever else is for worker-runner goes through the [`WorkerRunner`], the
/// worker's log by [`WorkerRunner::log_lines`]. New credentials go into `cell`. Must be called within a tokio runtime.
pub fn connect(
    input: impl AsyncBufRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    cell: Arc<CredentialsCell>,
) -> (WorkerRunner, Termination) {
    let (outbox, messages) = mpsc::channel(WAITING);
    let (lines, log) = mpsc::channel(1);
    let (agree, agreed) = watch::channel(None);
    let (tell, notices) = mpsc::channel(8);
    let listener = Listener {
        cell,
        agree,
        tell,
        outbox: outbox.clone(),
    };
    let log = LogLinesEnd::new(log, agreed.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(listener.listen(input));
    tasks.spawn(async move {
        // Worker-runner is gone then, and there is nobody to tell.
        let _ = speak(messages, log, output).await;
    });
    let runner = WorkerRunner {
        outbox,
        lines,
        agreed,
        _tasks: Arc::new(tasks),
    };
    let termination = Termination {
        notices,
        _runner: runner.clone(),
    };
    (runner, termination)
}

impl WorkerRunner {
    /// Waits until worker-runner has said what it can do; `false` if it went away without.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn welcomed(&self) -> bool {
        let mut agreed = self.agreed.clone();
        agreed.wait_for(Option::is_some).await.is_ok()
    }

    /// Sends a line for the log of the machine; `false` if worker-runner takes none or is behind.
    pub fn log(&self, text: &str) -> bool {
        self.send(ToRunner::Log {
            body: json!({ "textPayload": text }),
        })
    }

    /// Where lines go that are `log` messages already, such as those of a log in the format `workerproto`.
    #[must_use]
    pub fn log_lines(&self) -> LogLines {
        LogLines::new(self.lines.clone())
    }

    /// Waits until what was said so far is written, such as before the worker exits; `false` if worker-runner is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn flush(&self) -> bool {
        let (written, is_written) = oneshot::channel();
        let nothing = Outgoing {
            bytes: Vec::new(),
            written: Some(written),
        };
        self.outbox.send(nothing).await.is_ok() && is_written.await.is_ok()
    }

    /// Tells of a problem; `false` if worker-runner takes none or is behind.
    pub fn report_error(&self, report: ErrorReport) -> bool {
        self.send(ToRunner::ErrorReport(report))
    }

    /// Asks to turn the machine off; `false` if worker-runner cannot.
    pub fn shutdown(&self) -> bool {
        self.send(ToRunner::Shutdown)
    }

    fn send(&self, message: ToRunner) -> bool {
        let agreed = self.agreed.borrow();
        let can = |name: &str| {
            let agreed = agreed.iter().flatten();
            agreed.into_iter().any(|agreed| agreed == name)
        };
        message.capability().is_none_or(can) && self.outbox.try_send(message.into()).is_ok()
    }
}

struct Listener {
    cell: Arc<CredentialsCell>,
    agree: watch::Sender<Option<Vec<String>>>,
    tell: mpsc::Sender<ShutdownNotice>,
    outbox: mpsc::Sender<Outgoing>,
}

impl Listener {
    async fn listen(self, mut input: impl AsyncBufRead + Unpin) {
        let mut line = Vec::new();
        loop {
            line.clear();
            match input.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    if let Line::Message(message) = parse_line(&String::from_utf8_lossy(&line)) {
                        self.hear(message).await;
                    }
                }
            }
        }
    }

    async fn hear(&self, message: FromRunner) {
        match message {
            FromRunner::Welcome { capabilities } => self.greet(capabilities).await,
            FromRunner::GracefulTermination { finish_tasks } => {
                let reason = "worker-runner says so";
                let notice = match finish_tasks {
                    true => ShutdownNotice::graceful(reason),
                    false => ShutdownNotice::now(reason),
                };
                // Nobody listens to a source that was dropped.
                let _ = self.tell.send(notice).await;
            }
            FromRunner::NewCredentials {
                client_id,
                access_token,
                certificate,
            } => self
                .cell
                .set(credentials(client_id, access_token, certificate)),
            FromRunner::Other => {}
        }
    }

    async fn greet(&self, theirs: Vec<String>) {
        let mut both = theirs;
        both.retain(|name| CAPABILITIES.contains(&name.as_str()));
        let hello = ToRunner::Hello {
            capabilities: both.clone(),
        };
        // Before anything that the agreement allows, which is why it comes first.
        let _ = self.outbox.send(hello.into()).await;
        self.agree.send_replace(Some(both));
    }
}

impl From<ToRunner> for Outgoing {
    fn from(message: ToRunner) -> Self {
        Self {
            bytes: message.to_line().into_bytes(),
            written: None,
        }
    }
}

async fn speak(
    mut messages: mpsc::Receiver<Outgoing>,
    mut log: LogLinesEnd,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    loop {
        let next = tokio::select! {
            // The answer to the welcome comes before the lines that it allows.
            biased;
            Some(message) = messages.recv() => message,
            Some(lines) = log.next() => lines,
            else => return Ok(()),
        };
        output.write_all(&next.bytes).await?;
        output.flush().await?;
        if let Some(written) = next.written {
            // Who does not wait any more does not want to know.
            let _ = written.send(());
        }
    }
}

#[async_trait]
impl ShutdownSource for Termination {
    fn name(&self) -> &'static str {
        "worker-runner"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.notices.recv().await
    }
}
