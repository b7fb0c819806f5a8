//! The worker's own log: lines of text or JSON.

mod early;
mod json;
mod layer;
mod lines;
mod queue;
mod text;
mod visit;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use tracing::Dispatch;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

pub(crate) use self::early::EarlyMonitor;
pub use self::layer::{LogGuard, LogLayer};
pub use self::lines::LineFormat;
use crate::LogConfig;
use crate::fields::Redact;

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
    out: Option<(LineFormat, Box<dyn io::Write + Send>)>,
    redact: Option<Redact>,
}

impl LogBuilder {
    /// A log on standard error.
    pub fn new(config: LogConfig) -> Self {
        Self {
            config,
            out: None,
            redact: None,
        }
    }

    /// Writes lines of this format to `out` instead, such as to a terminal that also shows progress.
    pub fn writer(mut self, format: LineFormat, out: impl io::Write + Send + 'static) -> Self {
        self.out = Some((format, Box::new(out)));
        self
    }

    /// Passes every text of events of other libraries through `redact`, which replaces the secrets.
    pub fn redactor(
        mut self,
        redact: impl Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
    ) -> Self {
        self.redact = Some(Arc::new(redact));
        self
    }

    /// Makes this the subscriber of the whole process.
    ///
    /// # Errors
    ///
    /// [`InstallError::Installed`] if there is one already.
    pub fn install(self) -> Result<Log, InstallError> {
        let (dispatch, log) = self.build().map_err(InstallError::Thread)?;
        match tracing::dispatcher::set_global_default(dispatch) {
            Ok(()) => Ok(log),
            Err(_) => Err(InstallError::Installed),
        }
    }

    fn build(self) -> io::Result<(Dispatch, Log)> {
        let (format, out) = match self.out {
            Some(out) => out,
            None => (self.config.format.on_stderr(), Box::new(io::stderr()) as _),
        };
        let (mut layer, guard) = LogLayer::new(format, out)?;
        layer.set_redact(self.redact);
        let (filter, levels) = reload::Layer::new(self.config.filter());
        let subscriber = Registry::default().with(layer.with_filter(filter));
        Ok((Dispatch::new(subscriber), Log { guard, levels }))
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
#[must_use = "dropping it ends the thread that writes the log"]
pub struct Log {
    guard: LogGuard,
    levels: reload::Handle<Targets, Registry>,
}

impl Log {
    /// Changes the levels while the application runs; the format stays.
    pub fn set_levels(&self, config: &LogConfig) {
        // It fails only if the subscriber is gone, and with it every level.
        let _ = self.levels.reload(config.filter());
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

/// A log cannot be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is a subscriber already.
    #[error(
        "cannot install the log: this process has a tracing subscriber already; add a `LogLayer` to that instead"
    )]
    Installed,

    /// The operating system gives no thread.
    #[error("cannot install the log: there is no thread to write it")]
    Thread(#[source] io::Error),
}
