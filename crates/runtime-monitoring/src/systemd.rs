//! Tells systemd how the worker is doing.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::interval;

/// The connection to systemd: tells it once that the worker is ready, and then, at half the time that the unit's
/// `WatchdogSec` gives, that it is alive. Dropping it says that the worker stops.
///
/// The library reads no environment, so the application passes what it finds there:
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
#[must_use = "dropping it tells systemd that the worker stops"]
pub struct Systemd {
    socket: UnixDatagram,
    watchdog: Option<JoinHandle<()>>,
}

impl Systemd {
    /// Says that the worker is ready.
    ///
    /// `is_alive` is asked before each sign of life, such as [`Health::is_alive`](crate::status::Health::is_alive):
    /// while it says no, none is given, and systemd restarts the unit in the end.
    ///
    /// # Errors
    ///
    /// If the socket, a path or an abstract name after `@`, cannot be connected to.
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
        let watchdog = match watchdog.filter(|period| !period.is_zero()) {
            Some(period) => Some(tokio::spawn(watch(
                socket.try_clone()?,
                period / 2,
                is_alive,
            ))),
            None => None,
        };
        Ok(Self { socket, watchdog })
    }

    /// Says in a line what the worker does, for `systemctl status`.
    pub fn status(&self, line: &str) {
        let line = line.replace('\n', " ");
        // Nobody waits for it, and nothing depends on it.
        let _ = self.socket.send(format!("STATUS={line}").as_bytes());
    }
}

async fn watch(socket: UnixDatagram, period: Duration, is_alive: impl Fn() -> bool) {
    let mut ticks = interval(period);
    loop {
        ticks.tick().await;
        if is_alive() {
            // A sign that got lost is followed by another in time.
            let _ = socket.send(b"WATCHDOG=1");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A full buffer must not hold up the runtime.
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
