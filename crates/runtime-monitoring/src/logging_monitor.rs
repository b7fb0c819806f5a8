//! The monitor sink that logs through `tracing` and keeps metrics in memory.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "otlp")]
use runtime_core::monitor::FinishedTrace;
use runtime_core::monitor::{
    Counter, Field, Histogram, IncidentReport, Level, LogRecord, MonitorSink, MonitorTags, Severity,
};
use runtime_core::{Monitor, error_chain};
use runtime_ioext::log::Redactor;
use tracing::field::{DebugValue, debug};
use tracing::{Metadata, Span, event, info_span};

use crate::fields::{EventFields, RedactedMessage};
use crate::incidents::{Incident, Reporters};
use crate::metrics::Metrics;
#[cfg(feature = "otlp")]
use crate::trace_queue::TraceQueue;

/// The `tracing` target of all events of monitors.
pub const TARGET: &str = "worker";

/// Returns whether an event or a span was created by [`LoggingMonitor`], which has redacted it already.
///
/// The target cannot decide that: any library may use [`TARGET`] and would bypass the redactor. The module path is set by
/// the macros in this file.
pub(crate) fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.module_path() == Some(module_path!())
}

/// A sink that emits log lines and incidents as `tracing` events and keeps metrics in [`Metrics`].
///
/// Events have the target [`TARGET`] and, unless empty, the fields `prefix` and `tags` (`name=value name=value`, including
/// the fields of the line). Events of incidents also have `incident` and `error`. [`Monitor::in_span`] creates spans
/// named `work` with the fields `name`, `prefix` and `tags`; the span in which the worker runs a task also has `taskId`
/// and `runId`. The application installs the subscriber, this type does not.
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
    #[cfg(feature = "otlp")]
    traces: Option<TraceQueue>,
}

impl LoggingMonitor {
    /// Creates a sink with new metrics and without tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the store of the metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Adds tags to all events and incidents, such as the worker id.
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

    /// Redacts secrets in messages, errors, fields and tag values.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Sets the reporters that receive incidents in addition to the log.
    #[must_use]
    pub fn with_reporters(mut self, reporters: Reporters) -> Self {
        self.reporters = reporters;
        self
    }

    /// Records the traces of tasks.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn with_traces(mut self, traces: TraceQueue) -> Self {
        self.traces = Some(traces);
        self
    }

    /// Returns the metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns a monitor for this sink, without prefix and tags.
    #[must_use]
    pub fn into_monitor(self) -> Monitor {
        Monitor::new(Arc::new(self))
    }

    fn fields<'a>(
        &'a self,
        tags: &'a MonitorTags,
        fields: &'a [Field<'a>],
    ) -> Option<DebugValue<EventFields<'a>>> {
        let fields = EventFields {
            tags,
            common: &self.tags,
            fields,
            redactor: self.redactor.as_ref(),
        };
        (!fields.is_empty()).then(|| debug(fields))
    }

    fn redacted<'a>(&'a self, message: &'a dyn fmt::Display) -> RedactedMessage<'a> {
        RedactedMessage {
            message,
            redactor: self.redactor.as_ref(),
        }
    }
}

/// Emits an event whose level is known only at run time. `tracing` stores the level in the static metadata of the call
/// site, hence one call site per level.
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
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        self.metrics.counter_of(tags, name)
    }

    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram {
        self.metrics.histogram_of(tags, name)
    }

    fn set_gauge(&self, tags: &MonitorTags, name: &'static str, value: f64) {
        self.metrics.set_gauge_of(tags, name, value);
    }

    fn log(&self, tags: &MonitorTags, record: &LogRecord<'_>) {
        event_at!(
            record.level,
            prefix = prefix(tags),
            tags = self.fields(tags, record.fields),
            "{}",
            self.redacted(record.message)
        );
    }

    fn logs_to_tracing(&self) -> bool {
        // `log` has no other effect, so monitors may skip lines that no subscriber has enabled.
        true
    }

    fn report(&self, tags: &MonitorTags, report: &IncidentReport<'_>) {
        let level = match report.severity {
            Severity::Warning => Level::WARN,
            Severity::Error => Level::ERROR,
        };
        event_at!(
            level,
            prefix = prefix(tags),
            tags = self.fields(tags, &[]),
            incident = %report.incident,
            error = %self.redacted(&error_chain(report.error)),
            "{}",
            self.redacted(report.context)
        );
        // In addition to the event rather than derived from it: a subscriber may filter events, and sees only text.
        self.reporters
            .notify(|| Incident::new(tags, &self.tags, report, self.redactor.as_ref()));
    }

    #[cfg(feature = "otlp")]
    fn records_traces(&self) -> bool {
        self.traces.is_some()
    }

    #[cfg(feature = "otlp")]
    fn record_trace(&self, tags: &MonitorTags, trace: FinishedTrace) {
        if let Some(traces) = &self.traces {
            traces.add(tags, trace, self.redactor.as_ref());
        }
    }

    fn span(&self, tags: &MonitorTags, name: &'static str) -> Span {
        info_span!(
            target: TARGET,
            // The name of a span is static in `tracing`, so the name of the operation is a field.
            "work",
            name,
            prefix = prefix(tags),
            tags = self.fields(tags, &[]),
            // Repeated outside of `tags`: subscribers can filter by a field, but not by a part of one.
            taskId = tags.get("taskId"),
            runId = tags.get("runId"),
        )
    }
}

fn prefix(tags: &MonitorTags) -> Option<&str> {
    Some(tags.prefix()).filter(|prefix| !prefix.is_empty())
}

impl fmt::Debug for LoggingMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggingMonitor")
            .field("metrics", &self.metrics)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
