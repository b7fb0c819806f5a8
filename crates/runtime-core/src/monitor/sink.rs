//! What an adapter implements to hear of everything.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use tracing::Span;
use uuid::Uuid;

use super::{Counter, MonitorTags, Record};

/// Receives what monitors tell. Calls come from any thread and must not block.
pub trait MonitorSink: Send + Sync {
    /// The counter `name` of a scope.
    ///
    /// A monitor asks at its first count and keeps the answer, so that whatever the sink looks at is looked at once:
    /// the same name in the same scope must always be the same counter.
    fn counter(&self, scope: &MonitorTags, name: &'static str) -> Counter;

    /// Records a value of the distribution `name`.
    fn measure(&self, scope: &MonitorTags, name: &'static str, value: f64);

    /// Sets a value that goes up and down; by default nobody hears of it.
    fn set_gauge(&self, scope: &MonitorTags, name: &'static str, value: f64) {
        let _ = (scope, name, value);
    }

    /// Writes a line. Message and fields are only formatted if somebody formats them.
    fn log(&self, scope: &MonitorTags, record: &Record<'_>);

    /// Whether lines become `tracing` events and nothing else, so that those above the level of all its subscribers need
    /// not be made. By default, [`log`](Self::log) gets every line.
    fn logs_to_tracing(&self) -> bool {
        false
    }

    /// Reports an incident.
    fn report(&self, scope: &MonitorTags, report: &Report<'_>);

    /// Makes a `tracing` span for work in the scope; by default none.
    fn span(&self, scope: &MonitorTags, name: &'static str) -> Span {
        let _ = (scope, name);
        Span::none()
    }
}

/// Something that went wrong and that somebody should look into.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// Its name in every log and report.
    pub incident: IncidentId,
    /// The error, with its causes.
    pub error: &'a (dyn Error + 'static),
    /// What was being done.
    pub context: &'a dyn fmt::Display,
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {} {}: {}",
            self.severity,
            self.incident,
            self.context,
            crate::error::error_chain(self.error)
        )
    }
}

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look if it comes often.
    Warning,
    /// Somebody must look.
    Error,
}

/// The name of an incident, the same in task log, worker log and error reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IncidentId(Uuid);

impl IncidentId {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id as its 16 bytes, for systems that take a UUID in another form.
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

/// Hears everything and tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl MonitorSink for NullSink {
    fn counter(&self, _: &MonitorTags, _: &'static str) -> Counter {
        Counter::new()
    }

    fn measure(&self, _: &MonitorTags, _: &'static str, _: f64) {}

    fn log(&self, _: &MonitorTags, _: &Record<'_>) {}

    fn report(&self, _: &MonitorTags, _: &Report<'_>) {}
}
