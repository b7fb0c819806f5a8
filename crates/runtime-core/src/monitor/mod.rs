//! The port for metrics, log lines, incidents and traces.
//!
//! A [`Monitor`] is a cheap handle that combines [`MonitorTags`] (a prefix and tags) with a [`MonitorSink`], which an
//! adapter crate implements.
//!
//! Names and prefixes are constants; prefixes become part of metric names. [`intern_name`] permits names that are known
//! only at run time. The values of tags are runtime values, such as a task id, and do not create additional metrics.

mod active_trace;
mod handles;
mod intern;
mod metrics;
mod panic;
mod record;
pub(crate) mod sharded_sum;
mod sink;
mod tags;
mod trace;

pub use active_trace::{current_trace_id, traced, traced_with};
pub use handles::{Counter, Histogram, ValueRecorder};
pub use intern::intern_name;
pub use panic::Panicked;
pub use record::{Field, FieldValue, LogRecord};
pub use sink::{IncidentId, IncidentReport, MonitorSink, NullSink, Severity};
pub use tags::MonitorTags;
pub use trace::{FinishedTrace, TraceId, TraceSpan};
pub use tracing::{Level, Span};

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tracing::Instrument as _;
use tracing::level_filters::LevelFilter;

/// A handle to record counters, distributions, gauges, log lines and incidents.
///
/// ```
/// # use runtime_core::Monitor;
/// let monitor = Monitor::null().with_prefix("fetch").with_tag("taskId", "RmzTkg-8Qj614ea9fI9Jmg");
/// monitor.count("retries", 1);
/// monitor.fields(&[("bytes", 4096.into())]).info("fetched the input");
/// ```
#[derive(Clone)]
pub struct Monitor {
    sink: Arc<dyn MonitorSink>,
    /// Copied from the sink, so that a disabled log line needs no virtual call.
    logs_to_tracing: bool,
    tags: MonitorTags,
}

impl Monitor {
    /// Creates a monitor without prefix and tags.
    pub fn new(sink: Arc<dyn MonitorSink>) -> Self {
        Self {
            logs_to_tracing: sink.logs_to_tracing(),
            sink,
            tags: MonitorTags::root(),
        }
    }

    /// Creates a monitor that discards everything.
    #[must_use]
    pub fn null() -> Self {
        Self::new(Arc::new(NullSink))
    }

    /// Returns a child with `prefix` appended to the prefix of metric names.
    #[must_use]
    pub fn with_prefix(&self, prefix: &'static str) -> Self {
        self.child(self.tags.with_prefix(prefix))
    }

    /// Returns a child with an additional tag.
    #[must_use]
    pub fn with_tag(&self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.child(self.tags.with_tag(name, value.into()))
    }

    /// Returns a child with additional tags.
    #[must_use]
    pub fn with_tags<V: Into<Cow<'static, str>>>(
        &self,
        tags: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let mut child = self.clone();
        for (name, value) in tags {
            child.tags = child.tags.with_tag(name, value.into());
        }
        child
    }

    fn child(&self, tags: MonitorTags) -> Self {
        Self {
            tags,
            sink: Arc::clone(&self.sink),
            logs_to_tracing: self.logs_to_tracing,
        }
    }

    /// Returns the prefix and the tags.
    #[must_use]
    pub fn tags(&self) -> &MonitorTags {
        &self.tags
    }

    /// Awaits `work` in a `tracing` span with the prefix and the tags, if the sink creates spans.
    ///
    /// # Cancel safety
    ///
    /// As safe as `work`.
    pub async fn in_span<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        work.instrument(self.sink.span(&self.tags, name)).await
    }

    /// Adds fields to a single log line: `monitor.fields(&[("bytes", 5.into())]).info("done")`.
    pub fn fields<'a>(&'a self, fields: &'a [Field<'a>]) -> WithFields<'a> {
        WithFields {
            monitor: self,
            fields,
        }
    }

    /// Writes a debug line, intended for developers.
    pub fn debug(&self, message: impl fmt::Display) {
        self.fields(&[]).debug(message);
    }

    /// Writes an info line, intended for operators.
    pub fn info(&self, message: impl fmt::Display) {
        self.fields(&[]).info(message);
    }

    /// Writes a warning, which may need attention.
    pub fn warn(&self, message: impl fmt::Display) {
        self.fields(&[]).warn(message);
    }

    /// Writes an error line, which needs attention. See also [`report_error`](Self::report_error).
    pub fn error(&self, message: impl fmt::Display) {
        self.fields(&[]).error(message);
    }

    /// Reports an error that needs the attention of an operator. Returns the id to show to users.
    pub fn report_error(
        &self,
        error: &(dyn Error + 'static),
        context: impl fmt::Display,
    ) -> IncidentId {
        self.report(Severity::Error, error, &context)
    }

    /// Reports an error that needs attention only if it is frequent. Returns the id to show to users.
    pub fn report_warning(
        &self,
        error: &(dyn Error + 'static),
        context: impl fmt::Display,
    ) -> IncidentId {
        self.report(Severity::Warning, error, &context)
    }

    fn report(
        &self,
        severity: Severity,
        error: &(dyn Error + 'static),
        context: &dyn fmt::Display,
    ) -> IncidentId {
        let incident = IncidentId::new();
        self.sink.report(
            &self.tags,
            &IncidentReport {
                severity,
                incident,
                error,
                context,
            },
        );
        incident
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// A monitor with the fields of a single log line. Returned by [`Monitor::fields`].
#[derive(Clone, Copy, Debug)]
#[must_use = "no line is written until a level method is called"]
pub struct WithFields<'a> {
    monitor: &'a Monitor,
    fields: &'a [Field<'a>],
}

impl WithFields<'_> {
    /// Writes a debug line, intended for developers.
    pub fn debug(self, message: impl fmt::Display) {
        self.log(Level::DEBUG, &message);
    }

    /// Writes an info line, intended for operators.
    pub fn info(self, message: impl fmt::Display) {
        self.log(Level::INFO, &message);
    }

    /// Writes a warning, which may need attention.
    pub fn warn(self, message: impl fmt::Display) {
        self.log(Level::WARN, &message);
    }

    /// Writes an error line, which needs attention.
    pub fn error(self, message: impl fmt::Display) {
        self.log(Level::ERROR, &message);
    }

    #[inline]
    fn log(self, level: Level, message: &dyn fmt::Display) {
        if self.monitor.logs_to_tracing && level > LevelFilter::current() {
            return;
        }
        self.write(level, message);
    }

    fn write(self, level: Level, message: &dyn fmt::Display) {
        let record = LogRecord {
            level,
            message,
            fields: self.fields,
        };
        self.monitor.sink.log(&self.monitor.tags, &record);
    }
}
