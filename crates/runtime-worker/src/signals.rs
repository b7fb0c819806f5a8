//! Signals of the operating system as a source of shutdown.

use std::io;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource};

/// Hears `SIGTERM` and `SIGINT` (on Windows Ctrl-C): the first lets running tasks finish, the second
/// stops them.
///
/// It takes the signals over for the whole process, so only an application should make one, and early:
/// before, a signal ends the process at once.
#[derive(Debug)]
pub struct Signals {
    listener: Listener,
    heard: u32,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            listener: Listener::new()?,
            heard: 0,
        })
    }
}

#[async_trait]
impl ShutdownSource for Signals {
    fn name(&self) -> &'static str {
        "signals"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        let signal = self.listener.next().await?;
        self.heard = self.heard.saturating_add(1);
        Some(match self.heard {
            1 => ShutdownNotice::graceful(format!("{signal}; another one stops the running tasks")),
            _ => ShutdownNotice::now(format!("another {signal}")),
        })
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Listener {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Listener {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Option<&'static str> {
        tokio::select! {
            heard = self.interrupt.recv() => heard.map(|()| "SIGINT"),
            heard = self.terminate.recv() => heard.map(|()| "SIGTERM"),
        }
    }
}

#[cfg(windows)]
#[derive(Debug)]
struct Listener(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Listener {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Option<&'static str> {
        self.0.recv().await.map(|()| "Ctrl-C")
    }
}
