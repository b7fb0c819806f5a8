//! A monitor for the time before the configuration is read. Installs no subscriber.

use runtime_core::monitor::{
    Counter, Histogram, IncidentReport, LogRecord, MonitorSink, MonitorTags,
};
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::builder::{InstallError, LogBuilder, LogHandle};
use crate::config::LogConfig;
use crate::logging_monitor::LoggingMonitor;

/// Writes text of level `info` and above to standard error.
///
/// Emits events like the regular monitor, but each under its own dispatcher rather than the subscriber of the process, which
/// the application may install later.
pub(crate) struct BootstrapMonitor {
    sink: LoggingMonitor,
    dispatch: Dispatch,
    /// Flushes the log when dropped.
    _log: LogHandle,
}

impl BootstrapMonitor {
    pub(crate) fn start() -> Result<Self, InstallError> {
        let (dispatch, log) = LogBuilder::new(LogConfig::default()).build()?;
        Ok(Self {
            sink: LoggingMonitor::new(),
            dispatch,
            _log: log,
        })
    }
}

impl MonitorSink for BootstrapMonitor {
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        self.sink.counter(tags, name)
    }

    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram {
        self.sink.histogram(tags, name)
    }

    fn set_gauge(&self, tags: &MonitorTags, name: &'static str, value: f64) {
        self.sink.set_gauge(tags, name, value);
    }

    fn log(&self, tags: &MonitorTags, record: &LogRecord<'_>) {
        with_default(&self.dispatch, || self.sink.log(tags, record));
    }

    fn report(&self, tags: &MonitorTags, report: &IncidentReport<'_>) {
        with_default(&self.dispatch, || self.sink.report(tags, report));
    }
}
