//! The monitor that logs through `tracing` and counts in memory.

use std::fmt;
use std::sync::Arc;

use runtime_core::monitor::{
    Counter, Field, Level, MonitorSink, MonitorTags, Record, Report, Severity,
};
use runtime_core::{Monitor, error_chain};
use runtime_ioext::log::Redactor;
use tracing::{Metadata, Span, event, info_span};

use crate::Metrics;
use crate::fields::{Redacted, Tags};
use crate::incidents::{Incident, Reporters};

/// The target of every event that a monitor writes, to filter by.
pub const TARGET: &str = "worker";

/// Whether an event or a span is of a monitor, which has removed the secrets. Anybody can write to [`TARGET`].
pub(crate) fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.module_path() == Some(module_path!())
}

/// Writes log lines and incidents as `tracing` events, and keeps counters and measures in [`Metrics`].
///
/// An event has the target [`TARGET`], and, as far as there are any, the fields `prefix`, `tags`
/// (`name=value name=value`, those of the line included), and for incidents `incident` and `error`.
/// [`Monitor::in_span`] makes spans named `work` with `name`, `prefix` and `tags`; that of a task, in which the worker
/// runs it, also has `taskId` and `runId`. Whatever subscriber the application has installed sees them; this installs
/// none.
///
/// # Example
///
/// ```
/// use runtime_monitoring::LoggingMonitor;
///
/// let monitor = LoggingMonitor::new().with_tags([("workerId", "i-0123")]).into_monitor();
/// monitor.with_prefix("queue").info("waiting for tasks");
/// ```
#[derive(Clone, Default)]
pub struct LoggingMonitor {
    metrics: Metrics,
    tags: Vec<(String, String)>,
    redactor: Option<Redactor>,
    reporters: Reporters,
}

impl LoggingMonitor {
    /// Makes one with metrics of its own and no tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts and measures there.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Adds tags to everything, such as the names of the worker.
    #[must_use]
    pub fn with_tags<N, V>(mut self, tags: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let tags = tags.into_iter();
        self.tags
            .extend(tags.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Takes the secrets out of every message, error, field and value of a tag.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Tells these of incidents, beside the log.
    #[must_use]
    pub fn with_reporters(mut self, reporters: Reporters) -> Self {
        self.reporters = reporters;
        self
    }

    /// What was counted and measured.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Makes a monitor of it, without prefix and tags.
    #[must_use]
    pub fn into_monitor(self) -> Monitor {
        Monitor::new(Arc::new(self))
    }

    fn tags<'a>(&'a self, scope: &'a MonitorTags, fields: &'a [Field<'a>]) -> Tags<'a> {
        Tags {
            scope,
            common: &self.tags,
            fields,
            redactor: self.redactor.as_ref(),
        }
    }

    fn redacted<'a>(&'a self, message: &'a dyn fmt::Display) -> Redacted<'a> {
        Redacted {
            message,
            redactor: self.redactor.as_ref(),
        }
    }
}

/// Writes an event whose level is only known at run time; each level needs a place in the code of its own.
macro_rules! event_at {
    ($level:expr, $($fields:tt)*) => {
        match $level {
            Level::ERROR => event!(target: TARGET, Level::ERROR, $($fields)*),
            Level::WARN => event!(target: TARGET, Level::WARN, $($fields)*),
            Level::INFO => event!(target: TARGET, Level::INFO, $($fields)*),
            Level::DEBUG => event!(target: TARGET, Level::DEBUG, $($fields)*),
            Level::TRACE => event!(target: TARGET, Level::TRACE, $($fields)*),
        }
    };
}

impl MonitorSink for LoggingMonitor {
    fn counter(&self, scope: &MonitorTags, name: &'static str) -> Counter {
        self.metrics.counter_of(scope, name)
    }

    fn measure(&self, scope: &MonitorTags, name: &'static str, value: f64) {
        self.metrics.measure(scope, name, value);
    }

    fn set_gauge(&self, scope: &MonitorTags, name: &'static str, value: f64) {
        self.metrics.set_gauge_of(scope, name, value);
    }

    fn log(&self, scope: &MonitorTags, record: &Record<'_>) {
        event_at!(
            record.level,
            prefix = prefix(scope),
            tags = present(&self.tags(scope, record.fields)),
            "{}",
            self.redacted(record.message)
        );
    }

    fn logs_to_tracing(&self) -> bool {
        true
    }

    fn report(&self, scope: &MonitorTags, report: &Report<'_>) {
        let level = match report.severity {
            Severity::Warning => Level::WARN,
            Severity::Error => Level::ERROR,
        };
        event_at!(
            level,
            prefix = prefix(scope),
            tags = present(&self.tags(scope, &[])),
            incident = %report.incident,
            error = %self.redacted(&error_chain(report.error)),
            "{}",
            self.redacted(report.context)
        );
        self.reporters
            .tell(|| Incident::new(scope, &self.tags, report, self.redactor.as_ref()));
    }

    fn span(&self, scope: &MonitorTags, name: &'static str) -> Span {
        info_span!(
            target: TARGET,
            "work",
            name,
            prefix = prefix(scope),
            tags = present(&self.tags(scope, &[])),
            taskId = scope.tag("taskId"),
            runId = scope.tag("runId"),
        )
    }
}

fn prefix(scope: &MonitorTags) -> Option<&str> {
    Some(scope.prefix()).filter(|prefix| !prefix.is_empty())
}

fn present<'a>(tags: &'a Tags<'a>) -> Option<tracing::field::DebugValue<&'a Tags<'a>>> {
    (!tags.is_empty()).then(|| tracing::field::debug(tags))
}

impl fmt::Debug for LoggingMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggingMonitor")
            .field("metrics", &self.metrics)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
