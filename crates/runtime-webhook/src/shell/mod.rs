//! Interactive shells over WebSockets.

mod command;
mod message;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use runtime_core::Monitor;
use runtime_core::webhook::{Body, Handler, Request, Response};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::id::HookId;

pub use self::command::ShellCommand;
use self::session::Session;

/// How many shells are open at once.
const SHELLS: usize = 16;

/// Runs a program on a terminal of its own for whoever opens a WebSocket at `shell/<secret>`.
///
/// It speaks the protocol of Taskcluster's user interface. What the program prints comes as binary messages.
/// What the client sends starts with a byte that tells what it is:
///
/// | byte | then |
/// | --- | --- |
/// | 1 | what is typed |
/// | 2 | the size of the terminal: columns, then rows, 16 bits each in little endian |
///
/// Anything else ends the session with close code 1008. When the program ends, the rest of its output is sent
/// and the session closes with 1000 and its status as the reason. When the client goes away or does not
/// answer pings, the program's terminal is hung up and it is killed. Output waits for slow clients, and input
/// goes on meanwhile.
///
/// Make a shell for each task: it has a secret of its own, besides the hook's. Dropping it ends its programs.
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
/// // Only for those who may use it: `private` artifacts, never a log.
/// let url = format!("{}{path}", hook.url().replacen("http", "ws", 1));
/// # Ok(())
/// # }
/// ```
pub struct Shell {
    secret: HookId,
    command: Box<dyn Fn() -> ShellCommand + Send + Sync>,
    places: Arc<Semaphore>,
    monitor: Monitor,
    ping_interval: Duration,
    end: CancellationToken,
    /// Ends the sessions together with this.
    _ends: DropGuard,
}

impl Shell {
    /// Makes a handler that runs what `command` returns, anew for each session.
    ///
    /// # Errors
    ///
    /// An error if the operating system gives no random numbers for the secret.
    pub fn new(
        command: impl Fn() -> ShellCommand + Send + Sync + 'static,
    ) -> Result<Self, getrandom::Error> {
        let end = CancellationToken::new();
        Ok(Self {
            secret: HookId::random()?,
            command: Box::new(command),
            places: Arc::new(Semaphore::new(SHELLS)),
            monitor: Monitor::null(),
            ping_interval: Duration::from_secs(20),
            _ends: end.clone().drop_guard(),
            end,
        })
    }

    /// Counts and logs to this monitor, under `shell`.
    #[must_use]
    pub fn monitor(mut self, monitor: &Monitor) -> Self {
        self.monitor = monitor.with_prefix("shell");
        self
    }

    /// Pings clients this often, every 20 seconds by default; one that says nothing for twice as long is gone.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Where the WebSocket is, below the hook's URL. Treat it as a secret.
    #[must_use]
    pub fn path(&self) -> String {
        format!("shell/{}", self.secret.as_str())
    }

    fn open(&self, mut request: Request) -> Response {
        let key = match check(&request) {
            Ok(key) => key,
            Err(status) => return plain(status),
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE);
        };
        let session = Session {
            upgrade: hyper::upgrade::on(&mut request),
            command: (self.command)(),
            monitor: self.monitor.clone(),
            ping_interval: self.ping_interval,
        };
        self.monitor.count("sessions", 1);
        let end = self.end.clone();
        // It ends with this shell, with its connection, or by itself.
        tokio::spawn(async move {
            end.run_until_cancelled(session.run()).await;
            drop(place);
        });
        switch(&key)
    }
}

#[async_trait]
impl Handler for Shell {
    async fn handle(&self, request: Request) -> Response {
        match request.uri().path().strip_prefix("/shell/") {
            Some(secret) if self.secret.is(secret) => self.open(request),
            _ => plain(StatusCode::NOT_FOUND),
        }
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

/// The key of a request that opens a WebSocket.
fn check(request: &Request) -> Result<HeaderValue, StatusCode> {
    if request.method() != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let headers = request.headers();
    if !names(headers, &header::UPGRADE, "websocket")
        || !names(headers, &header::SEC_WEBSOCKET_VERSION, "13")
    {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    key.cloned().ok_or(StatusCode::BAD_REQUEST)
}

fn names(headers: &HeaderMap, field: &header::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(field).into_iter();
    let mut items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.any(|item| item.trim().eq_ignore_ascii_case(wanted))
}

fn switch(key: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
    }
    response
}
