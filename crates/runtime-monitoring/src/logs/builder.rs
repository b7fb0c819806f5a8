//! Builds and installs the log of an application.

use std::fmt;
use std::io;

use runtime_ioext::log::Redactor;
use tracing::Dispatch;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

#[cfg(all(unix, any(feature = "journald", feature = "syslog")))]
use super::datagrams::DatagramOutput;
use super::format::LineFormat;
use super::layer::{LogGuard, LogLayer};
use super::output::{LogOutput, StreamOutput};
use crate::config::{LogConfig, LogFormat};
use crate::metrics::Metrics;

/// Configures the log of an application.
///
/// [`install`](Self::install) is the only function of this crate with an effect on the whole process. Only applications
/// call it.
///
/// ```no_run
/// use runtime_monitoring::{LogBuilder, LogConfig};
///
/// let log = LogBuilder::new(LogConfig::default()).install()?;
/// // Keep `log` until the end of `main`: dropping it flushes the log.
/// # Ok::<(), runtime_monitoring::InstallError>(())
/// ```
#[must_use = "call `install` to start the log"]
pub struct LogBuilder {
    config: LogConfig,
    output: Option<(LineFormat, Box<dyn LogOutput>)>,
    redactor: Option<Redactor>,
    metrics: Option<Metrics>,
}

impl LogBuilder {
    /// Creates a builder for a log with the format and the destination of its [`LogFormat`].
    pub fn new(config: LogConfig) -> Self {
        Self {
            config,
            output: None,
            redactor: None,
            metrics: None,
        }
    }

    /// Writes lines of `format` to `out` instead, such as a terminal that also shows a progress bar.
    pub fn writer(mut self, format: LineFormat, out: impl io::Write + Send + 'static) -> Self {
        self.output = Some((format, Box::new(StreamOutput(out))));
        self
    }

    /// Sends datagrams of `format` to the socket at `path` instead, such as that of another journal namespace.
    #[cfg(all(unix, any(feature = "journald", feature = "syslog")))]
    pub fn socket(mut self, format: LineFormat, path: impl Into<std::path::PathBuf>) -> Self {
        self.output = Some((format, Box::new(DatagramOutput::new(path))));
        self
    }

    /// Redacts secrets in the events of other libraries.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Counts dropped lines in the metric `monitoring.log-lines-dropped`.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Installs the log as the `tracing` subscriber of the process.
    ///
    /// # Errors
    ///
    /// [`InstallError::Installed`] if the process has a subscriber already, otherwise as for [`build`](Self::build).
    pub fn install(self) -> Result<LogHandle, InstallError> {
        let (dispatch, log) = self.build()?;
        match tracing::dispatcher::set_global_default(dispatch) {
            Ok(()) => Ok(log),
            Err(_) => Err(InstallError::Installed),
        }
    }

    /// Creates the subscriber without installing it, for a part of a program or a test.
    ///
    /// # Errors
    ///
    /// [`InstallError::Unavailable`] if the program was built without the format, [`InstallError::Thread`] if the operating
    /// system cannot create a thread.
    pub fn build(self) -> Result<(Dispatch, LogHandle), InstallError> {
        let (format, output) = match self.output {
            Some(output) => output,
            None => open(self.config.format)?,
        };
        let (mut layer, guard) =
            LogLayer::with_output(format, output).map_err(InstallError::Thread)?;
        if let Some(redactor) = self.redactor {
            layer = layer.with_redactor(redactor);
        }
        if let Some(metrics) = &self.metrics {
            layer = layer.with_metrics(metrics);
        }
        // The filter applies to this layer only and can be replaced at run time.
        let (filter, levels) = reload::Layer::new(self.config.filter());
        let subscriber = Registry::default().with(layer.with_filter(filter));
        Ok((Dispatch::new(subscriber), LogHandle { guard, levels }))
    }
}

/// Opens the destination of a format.
fn open(format: LogFormat) -> Result<(LineFormat, Box<dyn LogOutput>), InstallError> {
    let stderr = |format| {
        let output: Box<dyn LogOutput> = Box::new(StreamOutput(io::stderr()));
        (format, output)
    };
    Ok(match format {
        LogFormat::Auto => stderr(LineFormat::text_for_stderr()),
        LogFormat::Text => stderr(LineFormat::Text { colours: false }),
        LogFormat::Json => stderr(LineFormat::Json),
        LogFormat::Workerproto => (
            LineFormat::WorkerProto,
            Box::new(StreamOutput(io::stdout())),
        ),
        #[cfg(all(unix, feature = "journald"))]
        LogFormat::Journald => (
            LineFormat::Journald,
            Box::new(DatagramOutput::new(super::journald::SOCKET)),
        ),
        #[cfg(all(unix, feature = "syslog"))]
        LogFormat::Syslog => (
            LineFormat::Syslog,
            Box::new(DatagramOutput::new(super::syslog::SOCKET)),
        ),
        #[cfg(not(all(unix, feature = "journald", feature = "syslog")))]
        format => return Err(InstallError::Unavailable(format)),
    })
}

impl fmt::Debug for LogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The log of an application. Dropping it flushes the log.
#[derive(Debug)]
#[must_use = "dropping it flushes the log: keep it until the end of `main`"]
pub struct LogHandle {
    guard: LogGuard,
    levels: reload::Handle<Targets, Registry>,
}

impl LogHandle {
    /// Returns a handle to change the levels while the application runs.
    #[must_use]
    pub fn levels(&self) -> LogLevels {
        LogLevels(self.levels.clone())
    }

    /// Sets the levels. The format does not change.
    pub fn set_levels(&self, config: &LogConfig) {
        self.levels().set(config);
    }

    /// Returns the number of lines dropped because the output was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.guard.dropped()
    }

    /// Waits at most two seconds until all earlier lines are written. Returns whether they are.
    pub fn flush(&self) -> bool {
        self.guard.flush()
    }
}

/// A handle to the levels of a log. Clones refer to the same log.
#[derive(Clone, Debug)]
pub struct LogLevels(reload::Handle<Targets, Registry>);

impl LogLevels {
    /// Sets the default level and those of single modules. The format does not change.
    pub fn set(&self, config: &LogConfig) {
        // Fails only if the subscriber was dropped.
        let _ = self.0.reload(config.filter());
    }
}

/// The reason a log could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The process has a subscriber already.
    #[error(
        "cannot install the log: this process already has a tracing subscriber; add a `LogLayer` to it instead"
    )]
    Installed,

    /// The program was built without the format, or the platform does not support it.
    #[error(
        "cannot install the log: unsupported log format {0:?}; enable its feature or configure another format"
    )]
    Unavailable(LogFormat),

    /// The operating system could not create the writer thread.
    #[error("cannot install the log: cannot create the writer thread")]
    Thread(#[source] io::Error),
}
