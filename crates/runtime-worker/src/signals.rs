//! Signals of the operating system as a source of shutdown requests.

use std::io;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource};

/// Handles `SIGTERM`, `SIGINT` and `SIGHUP` (Ctrl-C on Windows): the first signal lets running tasks finish, the second
/// stops them.
///
/// A terminal that is closed sends `SIGHUP`. Unhandled, it would end the worker and leave its tasks running.
///
/// The handlers are installed for the whole process, so only an application should create this. Create it early: until
/// then a signal ends the process at once.
#[derive(Debug)]
pub struct ShutdownSignals {
    listener: SignalListener,
    received: u32,
}

impl ShutdownSignals {
    /// Installs the signal handlers.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            listener: SignalListener::new()?,
            received: 0,
        })
    }
}

#[async_trait]
impl ShutdownSource for ShutdownSignals {
    fn name(&self) -> &'static str {
        "signals"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        let signal = self.listener.next().await?;
        self.received = self.received.saturating_add(1);
        Some(if self.received == 1 {
            ShutdownNotice::graceful(format!("{signal}; another one stops the running tasks"))
        } else {
            ShutdownNotice::now(format!("another {signal}"))
        })
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct SignalListener {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl SignalListener {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Option<&'static str> {
        tokio::select! {
            received = self.interrupt.recv() => received.map(|()| "SIGINT"),
            received = self.terminate.recv() => received.map(|()| "SIGTERM"),
            received = self.hangup.recv() => received.map(|()| "SIGHUP"),
        }
    }
}

#[cfg(windows)]
#[derive(Debug)]
struct SignalListener(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl SignalListener {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Option<&'static str> {
        self.0.recv().await.map(|()| "Ctrl-C")
    }
}
