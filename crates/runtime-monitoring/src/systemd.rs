//! Notifies systemd of readiness and liveness, by the protocol of `sd_notify(3)`.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use runtime_core::clock::ticks;
use tokio::task::JoinHandle;

/// A connection to systemd.
///
/// Reports readiness at start, liveness at intervals of half the unit's `WatchdogSec`, and the end of the worker when
/// dropped.
///
/// Libraries read no environment variables, so the application passes them:
///
/// ```no_run
/// # async fn start(is_alive: impl Fn() -> bool + Send + 'static) -> std::io::Result<()> {
/// use std::time::Duration;
/// use runtime_monitoring::Systemd;
///
/// let watchdog = std::env::var("WATCHDOG_USEC").ok().and_then(|usec| usec.parse().ok());
/// let systemd = match std::env::var_os("NOTIFY_SOCKET") {
///     Some(socket) => Some(Systemd::start(&socket, watchdog.map(Duration::from_micros), is_alive)?),
///     None => None,
/// };
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it reports to systemd that the worker is stopping"]
pub struct Systemd {
    socket: UnixDatagram,
    watchdog: Option<JoinHandle<()>>,
}

impl Systemd {
    /// Reports readiness (`READY=1`) and starts the watchdog task.
    ///
    /// `is_alive`, such as [`Health::is_alive`](crate::status::Health::is_alive), is called before each keep-alive message.
    /// While it returns `false`, no message is sent, and systemd restarts the unit when `WatchdogSec` has passed.
    ///
    /// # Errors
    ///
    /// If connecting to the socket fails. The socket is a path, or an abstract name after `@`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is a watchdog.
    pub fn start(
        socket: &OsStr,
        watchdog: Option<Duration>,
        is_alive: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let socket = connect(socket)?;
        socket.send(b"READY=1")?;
        let watchdog = match watchdog.filter(|timeout| !timeout.is_zero()) {
            // Half the timeout, as sd_watchdog_enabled(3) recommends: a delayed or lost message is followed by another one in
            // time.
            Some(timeout) => Some(tokio::spawn(keep_alive(
                socket.try_clone()?,
                timeout / 2,
                is_alive,
            ))),
            None => None,
        };
        Ok(Self { socket, watchdog })
    }

    /// Sets the status line that `systemctl status` shows.
    pub fn status(&self, line: &str) {
        // A line feed would start another variable of the message.
        let line = line.replace('\n', " ");
        // Best effort: the status is informational.
        let _ = self.socket.send(format!("STATUS={line}").as_bytes());
    }
}

async fn keep_alive(socket: UnixDatagram, period: Duration, is_alive: impl Fn() -> bool) {
    let mut ticks = ticks(period);
    loop {
        ticks.tick().await;
        if is_alive() {
            let _ = socket.send(b"WATCHDOG=1");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // Messages are sent from async tasks: if the receive buffer of systemd is full, `send` must fail rather than block.
    socket.set_nonblocking(true)?;
    match abstract_name(name) {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.connect_addr(&address)?;
        }
        _ => socket.connect(name)?,
    }
    Ok(socket)
}

fn abstract_name(name: &OsStr) -> Option<&[u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    name.as_bytes().strip_prefix(b"@")
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.socket.send(b"STOPPING=1");
        if let Some(watchdog) = &self.watchdog {
            watchdog.abort();
        }
    }
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Systemd")
            .field("has_watchdog", &self.watchdog.is_some())
            .finish_non_exhaustive()
    }
}
