//! Interactive shells over WebSockets.

mod client_message;
mod command;
mod program;
mod session;
mod terminal;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use runtime_core::Monitor;
use runtime_core::webhook::{Handler, Request, Response};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::hook_id::HookId;
use crate::response::{empty, list_items, set_headers};

pub use self::command::ShellCommand;
pub use self::program::{ShellControl, ShellProgram, ShellStarter};
use self::session::{ShellSession, ShellSource};

/// The maximum number of concurrent sessions of a shell.
const MAX_SESSIONS: usize = 16;

/// Runs a program on a new terminal for each WebSocket that is opened at `shell/<secret>`.
///
/// The protocol is that of Taskcluster's user interface. The output of the program is sent as binary messages.
/// A message of the client starts with a type byte:
///
/// | byte | content |
/// | --- | --- |
/// | 1 | keyboard input |
/// | 2 | the size of the terminal: rows, then columns, as 16-bit little-endian integers |
///
/// Any other message closes the session with code 1008. When the program ends, its remaining output is sent,
/// and the session is closed with code 1000 and the exit status as the reason. When the client disconnects or
/// does not answer pings, the terminal is hung up and the program is killed. Output waits for slow clients
/// without blocking input.
///
/// Create a shell for each task: it has a secret in addition to that of the hook. Dropping the shell ends its
/// sessions.
///
/// # Example
///
/// ```
/// # use std::sync::Arc;
/// use runtime_core::webhook::WebHookServer;
/// use runtime_webhook::{LocalhostServer, Shell, ShellCommand};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let shell = Arc::new(Shell::new(|| ShellCommand::new("/bin/sh"))?);
/// let path = shell.path();
/// let server = LocalhostServer::start().await?;
/// let hook = server.attach(shell).await?;
/// // A secret: store it in a private artifact, never in a log.
/// let url = format!("{}{path}", hook.url().replacen("http", "ws", 1));
/// # Ok(())
/// # }
/// ```
pub struct Shell {
    secret: HookId,
    source: Box<dyn Fn() -> ShellSource + Send + Sync>,
    permits: Arc<Semaphore>,
    monitor: Monitor,
    ping_interval: Duration,
    dropped: CancellationToken,
    /// Cancels `dropped` when the shell is dropped.
    _drop_guard: DropGuard,
}

impl Shell {
    /// Creates a handler that runs the result of `command` in each session.
    ///
    /// # Errors
    ///
    /// An error if the operating system provides no random numbers for the secret.
    pub fn new(
        command: impl Fn() -> ShellCommand + Send + Sync + 'static,
    ) -> Result<Self, getrandom::Error> {
        Self::from_source(move || ShellSource::Command(command()))
    }

    /// Creates a handler whose programs are started elsewhere, such as inside of a task.
    ///
    /// # Errors
    ///
    /// An error if the operating system provides no random numbers for the secret.
    pub fn with_starter(starter: Arc<dyn ShellStarter>) -> Result<Self, getrandom::Error> {
        Self::from_source(move || ShellSource::Starter(Arc::clone(&starter)))
    }

    fn from_source(
        source: impl Fn() -> ShellSource + Send + Sync + 'static,
    ) -> Result<Self, getrandom::Error> {
        let dropped = CancellationToken::new();
        Ok(Self {
            secret: HookId::random()?,
            source: Box::new(source),
            permits: Arc::new(Semaphore::new(MAX_SESSIONS)),
            monitor: Monitor::null(),
            ping_interval: Duration::from_secs(20),
            _drop_guard: dropped.clone().drop_guard(),
            dropped,
        })
    }

    /// Sets the monitor that receives metrics and log lines, with the prefix `shell`.
    #[must_use]
    pub fn monitor(mut self, monitor: &Monitor) -> Self {
        self.monitor = monitor.with_prefix("shell");
        self
    }

    /// Sets the interval of pings, 20 seconds by default. A client is disconnected if no data is received from
    /// it for two intervals.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Returns the path of the WebSocket below the URL of the hook. It contains the secret.
    #[must_use]
    pub fn path(&self) -> String {
        format!("shell/{}", self.secret.as_str())
    }

    fn open(&self, mut request: Request) -> Response {
        let key = match websocket_key(&request) {
            Ok(key) => key,
            Err(status) => return rejection(status),
        };
        // Rejected instead of queued: a person is waiting.
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return rejection(StatusCode::SERVICE_UNAVAILABLE);
        };
        let session = ShellSession {
            upgrade: hyper::upgrade::on(&mut request),
            source: (self.source)(),
            monitor: self.monitor.clone(),
            ping_interval: self.ping_interval,
        };
        self.monitor.count("sessions", 1);
        let dropped = self.dropped.clone();
        // In a task: the upgrade completes only after the response below is sent. The task ends with the shell, the
        // connection or the program.
        tokio::spawn(async move {
            dropped.run_until_cancelled(session.run()).await;
            drop(permit);
        });
        switching_protocols(&key)
    }
}

#[async_trait]
impl Handler for Shell {
    async fn handle(&self, request: Request) -> Response {
        match request.uri().path().strip_prefix("/shell/") {
            Some(secret) if self.secret.matches(secret) => self.open(request),
            _ => rejection(StatusCode::NOT_FOUND),
        }
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

/// Returns the key of a request that opens a WebSocket, or the status of the rejection.
fn websocket_key(request: &Request) -> Result<HeaderValue, StatusCode> {
    if request.method() != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let headers = request.headers();
    if !has_item(headers, &header::UPGRADE, "websocket")
        || !has_item(headers, &header::SEC_WEBSOCKET_VERSION, "13")
    {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    key.cloned().ok_or(StatusCode::BAD_REQUEST)
}

fn has_item(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    list_items(headers, name).any(|item| item.eq_ignore_ascii_case(wanted))
}

fn switching_protocols(key: &HeaderValue) -> Response {
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    set_headers(
        &mut response,
        [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
        ],
    );
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn rejection(status: StatusCode) -> Response {
    let mut response = empty(status);
    if status == StatusCode::UPGRADE_REQUIRED {
        set_headers(
            &mut response,
            [
                (header::UPGRADE, "websocket"),
                (header::SEC_WEBSOCKET_VERSION, "13"),
            ],
        );
    }
    response
}
