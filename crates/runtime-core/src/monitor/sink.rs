//! The port that an adapter implements to receive metrics, log lines and incidents.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use tracing::Span;
use uuid::Uuid;

use super::handles::{Counter, Histogram};
use super::record::LogRecord;
use super::tags::MonitorTags;
use super::trace::FinishedTrace;
use runtime_gc::error_chain;

/// Receives everything that monitors record. Methods are called from any thread and must not block.
pub trait MonitorSink: Send + Sync {
    /// Returns the counter `name` of a set of tags.
    ///
    /// A monitor calls this at its first count and caches the handle, so the lookup may be slow. The same name and tags
    /// must always return the same counter.
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter;

    /// Returns the distribution `name` of a set of tags. The handle is cached like that of a [counter](Self::counter).
    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram;

    /// Sets a gauge. The default implementation discards the value.
    fn set_gauge(&self, tags: &MonitorTags, name: &'static str, value: f64) {
        let _ = (tags, name, value);
    }

    /// Writes a log line. Message and fields are formatted by the sink, so a line that it discards costs no formatting.
    fn log(&self, tags: &MonitorTags, record: &LogRecord<'_>);

    /// Returns whether [`log`](Self::log) does nothing except emit `tracing` events.
    ///
    /// A monitor then skips lines above the most verbose level that any subscriber has enabled. By default, `log`
    /// receives every line.
    fn logs_to_tracing(&self) -> bool {
        false
    }

    /// Reports an incident.
    fn report(&self, tags: &MonitorTags, report: &IncidentReport<'_>);

    /// Creates a `tracing` span for an operation. The default implementation returns a disabled span.
    fn span(&self, tags: &MonitorTags, name: &'static str) -> Span {
        let _ = (tags, name);
        Span::none()
    }

    /// Returns whether the sink uses the traces of tasks. By default, no spans are recorded.
    fn records_traces(&self) -> bool {
        false
    }

    /// Receives the trace of a task that has ended. The default implementation discards it.
    fn record_trace(&self, tags: &MonitorTags, trace: FinishedTrace) {
        let _ = (tags, trace);
    }
}

/// An error reported by a monitor, before a sink formats it.
#[derive(Clone, Copy)]
pub struct IncidentReport<'a> {
    /// The severity.
    pub severity: Severity,
    /// The id that identifies the incident in logs and reports.
    pub incident: IncidentId,
    /// The error, with its causes in `source`.
    pub error: &'a (dyn Error + 'static),
    /// The operation that failed.
    pub context: &'a dyn fmt::Display,
}

impl fmt::Debug for IncidentReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {} {}: {}",
            self.severity,
            self.incident,
            self.context,
            error_chain(self.error)
        )
    }
}

/// The severity of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Needs attention only if it is frequent.
    Warning,
    /// Needs the attention of an operator.
    Error,
}

/// The unique id of an incident, the same in the task log, the worker log and error reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IncidentId(Uuid);

impl IncidentId {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// Returns the 16 bytes of the UUID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl Serialize for IncidentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A sink that discards everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl MonitorSink for NullSink {
    fn counter(&self, _: &MonitorTags, _: &'static str) -> Counter {
        Counter::new()
    }

    fn histogram(&self, _: &MonitorTags, _: &'static str) -> Histogram {
        Histogram::null()
    }

    fn log(&self, _: &MonitorTags, _: &LogRecord<'_>) {}

    fn report(&self, _: &MonitorTags, _: &IncidentReport<'_>) {}
}
