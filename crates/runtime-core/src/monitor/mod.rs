//! The port through which everything tells what it does.
//!
//! A [`Monitor`] is a handle that is cheap to clone: it carries a [`MonitorTags`] (a prefix and tags) and
//! hands every call to a [`MonitorSink`], which an adapter crate implements.
//!
//! Prefixes are constants and end up in metric names. Tags are values, such as a task's id, and do
//! not multiply metrics.

mod counter;
mod panic;
mod record;
mod sink;
mod tags;

pub use counter::Counter;
pub use panic::Panicked;
pub use record::{Field, Record, Value};
pub use sink::{IncidentId, MonitorSink, NullSink, Report, Severity};
pub use tags::MonitorTags;
pub use tracing::{Level, Span};

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::level_filters::LevelFilter;

/// A handle to tell what happens: counts, measures, log lines and incidents.
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
    /// What the sink says, asked once so that a line that nobody hears costs no call.
    logs_to_tracing: bool,
    scope: MonitorTags,
}

impl Monitor {
    /// Makes a monitor without prefix and tags.
    pub fn new(sink: Arc<dyn MonitorSink>) -> Self {
        Self {
            logs_to_tracing: sink.logs_to_tracing(),
            sink,
            scope: MonitorTags::root(),
        }
    }

    /// A monitor that nobody listens to.
    #[must_use]
    pub fn null() -> Self {
        Self::new(Arc::new(NullSink))
    }

    /// A child whose metric names start with one more word.
    #[must_use]
    pub fn with_prefix(&self, prefix: &'static str) -> Self {
        self.with_scope(self.scope.with_prefix(prefix))
    }

    /// A child with one more tag.
    #[must_use]
    pub fn with_tag(&self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.with_scope(self.scope.with_tag(name, value.into()))
    }

    /// A child with more tags.
    #[must_use]
    pub fn with_tags<V: Into<Cow<'static, str>>>(
        &self,
        tags: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let mut child = self.clone();
        for (name, value) in tags {
            child.scope = child.scope.with_tag(name, value.into());
        }
        child
    }

    fn with_scope(&self, scope: MonitorTags) -> Self {
        Self {
            scope,
            sink: Arc::clone(&self.sink),
            logs_to_tracing: self.logs_to_tracing,
        }
    }

    /// The prefix and the tags.
    #[must_use]
    pub fn scope(&self) -> &MonitorTags {
        &self.scope
    }

    /// Adds `n` to a counter.
    pub fn count(&self, name: &'static str, n: u64) {
        match self.scope.counters().find(name) {
            Some(counter) => counter.add(n),
            None => self.count_first(name, n),
        }
    }

    #[cold]
    fn count_first(&self, name: &'static str, n: u64) {
        let counter = self.sink.counter(&self.scope, name);
        counter.add(n);
        self.scope.counters().keep(name, counter);
    }

    /// Sets a value that goes up and down, of which there is one for the whole worker: tags do not tell
    /// several apart.
    pub fn set_gauge(&self, name: &'static str, value: f64) {
        self.sink.set_gauge(&self.scope, name, value);
    }

    /// Records a value of a distribution.
    pub fn measure(&self, name: &'static str, value: f64) {
        self.sink.measure(&self.scope, name, value);
    }

    /// Records a time in seconds.
    pub fn measure_duration(&self, name: &'static str, duration: Duration) {
        self.measure(name, duration.as_secs_f64());
    }

    /// Runs `work` and records how long it took.
    pub fn time<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let start = std::time::Instant::now();
        let result = work();
        self.measure_duration(name, start.elapsed());
        result
    }

    /// Awaits `work` and records how long it took.
    ///
    /// # Cancel safety
    ///
    /// As safe as `work`; nothing is recorded when the future is dropped.
    pub async fn time_async<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = work.await;
        self.measure_duration(name, start.elapsed());
        result
    }

    /// Awaits `work` in a `tracing` span that carries the prefix and the tags, as far as the sink makes spans.
    ///
    /// # Cancel safety
    ///
    /// As safe as `work`.
    pub async fn in_span<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        work.instrument(self.sink.span(&self.scope, name)).await
    }

    /// Adds fields to one line of the log: `monitor.fields(&[("bytes", 5.into())]).info("done")`.
    pub fn fields<'a>(&'a self, fields: &'a [Field<'a>]) -> WithFields<'a> {
        WithFields {
            monitor: self,
            fields,
        }
    }

    /// Writes a line for developers.
    pub fn debug(&self, message: impl fmt::Display) {
        self.fields(&[]).debug(message);
    }

    /// Writes a line for operators.
    pub fn info(&self, message: impl fmt::Display) {
        self.fields(&[]).info(message);
    }

    /// Writes a line about something that may need a look.
    pub fn warn(&self, message: impl fmt::Display) {
        self.fields(&[]).warn(message);
    }

    /// Writes a line about something that needs a look; see also [`report_error`](Self::report_error).
    pub fn error(&self, message: impl fmt::Display) {
        self.fields(&[]).error(message);
    }

    /// Reports an error that somebody must look into, and returns the id to tell others.
    pub fn report_error(
        &self,
        error: &(dyn Error + 'static),
        context: impl fmt::Display,
    ) -> IncidentId {
        self.report(Severity::Error, error, &context)
    }

    /// Reports an error that is worth a look if it comes often, and returns the id to tell others.
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
            &self.scope,
            &Report {
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
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// A monitor and the fields of one line. Made by [`Monitor::fields`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it says nothing until a level is chosen"]
pub struct WithFields<'a> {
    monitor: &'a Monitor,
    fields: &'a [Field<'a>],
}

impl WithFields<'_> {
    /// Writes a line for developers.
    pub fn debug(self, message: impl fmt::Display) {
        self.log(Level::DEBUG, &message);
    }

    /// Writes a line for operators.
    pub fn info(self, message: impl fmt::Display) {
        self.log(Level::INFO, &message);
    }

    /// Writes a line about something that may need a look.
    pub fn warn(self, message: impl fmt::Display) {
        self.log(Level::WARN, &message);
    }

    /// Writes a line about something that needs a look.
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
        let record = Record {
            level,
            message,
            fields: self.fields,
        };
        self.monitor.sink.log(&self.monitor.scope, &record);
    }
}
