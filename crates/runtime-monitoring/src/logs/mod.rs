//! The worker's own log: lines of text or JSON.

#[cfg(all(unix, any(feature = "journald", feature = "syslog")))]
mod datagrams;
mod early;
#[cfg(all(unix, feature = "journald"))]
mod journald;
mod json;
mod layer;
mod lines;
mod out;
pub(crate) mod queue;
#[cfg(all(unix, feature = "syslog"))]
mod syslog;
mod text;
mod visit;
pub(crate) mod workerproto;

use std::fmt;
use std::io::{self, IsTerminal as _};

use runtime_ioext::log::Redactor;
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

pub(crate) use self::early::EarlyMonitor;
pub use self::layer::{LogGuard, LogLayer};
pub use self::lines::LineFormat;
use self::out::{Out, Stream};
use crate::{LogConfig, LogFormat, Metrics};

/// Sets up the log of an application.
///
/// [`install`](Self::install) is the only function of this crate that changes the whole process, and
/// only applications call it.
///
/// ```no_run
/// use runtime_monitoring::{LogBuilder, LogConfig};
///
/// let log = LogBuilder::new(LogConfig::default()).install()?;
/// // Until `log` is dropped, at the end of `main`.
/// # Ok::<(), runtime_monitoring::InstallError>(())
/// ```
#[must_use = "call `install` to have a log"]
pub struct LogBuilder {
    config: LogConfig,
    out: Option<(LineFormat, Box<dyn Out>)>,
    redactor: Option<Redactor>,
    metrics: Option<Metrics>,
}

impl LogBuilder {
    /// A log that goes where its format says, see [`LogFormat`].
    pub fn new(config: LogConfig) -> Self {
        Self {
            config,
            out: None,
            redactor: None,
            metrics: None,
        }
    }

    /// Writes lines of this format to `out` instead, such as to a terminal that also shows progress.
    pub fn writer(mut self, format: LineFormat, out: impl io::Write + Send + 'static) -> Self {
        self.out = Some((format, Box::new(Stream(out))));
        self
    }

    /// Sends datagrams of this format to the socket at `path` instead, such as to a journal in another place.
    #[cfg(all(unix, any(feature = "journald", feature = "syslog")))]
    pub fn socket(mut self, format: LineFormat, path: impl Into<std::path::PathBuf>) -> Self {
        self.out = Some((format, Box::new(datagrams::Datagrams::new(path))));
        self
    }

    /// Takes the secrets out of every text of events of other libraries.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Counts dropped lines as `monitoring.log-lines-dropped`.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Makes this the subscriber of the whole process.
    ///
    /// # Errors
    ///
    /// [`InstallError::Installed`] if there is one already, [`InstallError::Unavailable`] if this program
    /// was built without the format.
    pub fn install(self) -> Result<Log, InstallError> {
        let (dispatch, log) = self.build()?;
        match tracing::dispatcher::set_global_default(dispatch) {
            Ok(()) => Ok(log),
            Err(_) => Err(InstallError::Installed),
        }
    }

    /// Makes a subscriber without installing it, for a part of a program or a test.
    ///
    /// # Errors
    ///
    /// [`InstallError::Unavailable`] if this program was built without the format.
    pub fn build(self) -> Result<(Dispatch, Log), InstallError> {
        let (format, out) = match self.out {
            Some(out) => out,
            None => open(self.config.format)?,
        };
        let (mut layer, guard) = LogLayer::with_out(format, out).map_err(InstallError::Thread)?;
        if let Some(redactor) = self.redactor {
            layer = layer.with_redactor(redactor);
        }
        if let Some(metrics) = &self.metrics {
            layer = layer.with_metrics(metrics);
        }
        let (filter, levels) = reload::Layer::new(self.config.filter());
        let subscriber = Registry::default().with(layer.with_filter(filter));
        Ok((Dispatch::new(subscriber), Log { guard, levels }))
    }
}

/// Where lines of a format go, and what they look like there.
fn open(format: LogFormat) -> Result<(LineFormat, Box<dyn Out>), InstallError> {
    let on_stderr = |format| (format, Box::new(Stream(io::stderr())) as Box<dyn Out>);
    Ok(match format {
        LogFormat::Auto => on_stderr(text_on_stderr()),
        LogFormat::Text => on_stderr(LineFormat::Text { colours: false }),
        LogFormat::Json => on_stderr(LineFormat::Json),
        LogFormat::Workerproto => (LineFormat::WorkerProto, Box::new(Stream(io::stdout()))),
        #[cfg(all(unix, feature = "journald"))]
        LogFormat::Journald => (
            LineFormat::Journald,
            Box::new(datagrams::Datagrams::new(journald::SOCKET)),
        ),
        #[cfg(all(unix, feature = "syslog"))]
        LogFormat::Syslog => (
            LineFormat::Syslog,
            Box::new(datagrams::Datagrams::new(syslog::SOCKET)),
        ),
        #[cfg(not(all(unix, feature = "journald", feature = "syslog")))]
        format => return Err(InstallError::Unavailable(format)),
    })
}

pub(crate) fn text_on_stderr() -> LineFormat {
    LineFormat::Text {
        colours: io::stderr().is_terminal(),
    }
}

/// The level of syslog, and the name that log services know.
fn severity(level: Level) -> (u8, &'static str) {
    match level {
        Level::ERROR => (3, "ERROR"),
        Level::WARN => (4, "WARNING"),
        Level::INFO => (6, "INFO"),
        Level::DEBUG | Level::TRACE => (7, "DEBUG"),
    }
}

impl fmt::Debug for LogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The log of an application, which is flushed when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it flushes the log: keep it until the end of `main`"]
pub struct Log {
    guard: LogGuard,
    levels: reload::Handle<Targets, Registry>,
}

impl Log {
    /// The levels of this log, to change them from elsewhere while it runs.
    #[must_use]
    pub fn levels(&self) -> LogLevels {
        LogLevels(self.levels.clone())
    }

    /// Changes the levels while the application runs; the format stays.
    pub fn set_levels(&self, config: &LogConfig) {
        self.levels().set(config);
    }

    /// How many lines were dropped, since they came faster than they could be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.guard.dropped()
    }

    /// Waits until all lines so far are written, at most two seconds; reports whether they are.
    pub fn flush(&self) -> bool {
        self.guard.flush()
    }
}

/// Changes the levels of a log; a clone does the same.
#[derive(Clone, Debug)]
pub struct LogLevels(reload::Handle<Targets, Registry>);

impl LogLevels {
    /// Changes the level, and those of single modules; the format stays.
    pub fn set(&self, config: &LogConfig) {
        // It fails only if the subscriber is gone, and with it every level.
        let _ = self.0.reload(config.filter());
    }
}

/// A log cannot be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is a subscriber already.
    #[error(
        "cannot install the log: this process has a tracing subscriber already; add a `LogLayer` to that instead"
    )]
    Installed,

    /// This program was built without the format, or for a platform that lacks it.
    #[error(
        "cannot install the log: this program has no log format {0:?}; build it with that feature, or configure another"
    )]
    Unavailable(LogFormat),

    /// The operating system gives no thread.
    #[error("cannot install the log: there is no thread to write it")]
    Thread(#[source] io::Error),
}
