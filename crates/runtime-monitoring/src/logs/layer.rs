//! Turns events into lines.

use std::fmt;
use std::io;

use runtime_ioext::log::Redactor;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::lines::{Head, LineFormat, Lines};
use super::out::{Out, Stream};
use super::queue::Queue;
use super::visit::{Parts, Visitor};
use crate::{Metrics, logging};

/// A layer that writes a line an event, of monitors and of everything else that uses `tracing`.
///
/// Lines are written by a thread of its own. If that cannot keep up, lines are dropped and counted,
/// and a line of the log tells how many. [`LogGuard`] flushes it, and the thread ends with the layer.
pub struct LogLayer {
    lines: Lines,
    redactor: Option<Redactor>,
}

impl LogLayer {
    /// Makes a layer that writes to `out`.
    ///
    /// # Errors
    ///
    /// If the operating system gives no thread.
    pub fn new(
        format: LineFormat,
        out: impl io::Write + Send + 'static,
    ) -> io::Result<(Self, LogGuard)> {
        Self::with_out(format, Box::new(Stream(out)))
    }

    pub(super) fn with_out(format: LineFormat, out: Box<dyn Out>) -> io::Result<(Self, LogGuard)> {
        let lines = Lines::start(format, out)?;
        let guard = LogGuard(lines.queue.clone());
        let layer = Self {
            lines,
            redactor: None,
        };
        Ok((layer, guard))
    }

    /// Takes the secrets out of every text of other events.
    ///
    /// Events of monitors have a [redactor of their own](crate::LoggingMonitor::with_redactor).
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Counts dropped lines as `monitoring.log-lines-dropped`.
    #[must_use]
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        let counter = metrics.counter("monitoring.log-lines-dropped");
        self.lines.queue.count_dropped(counter);
        self
    }

    fn visitor<'a>(&'a self, parts: &'a mut Parts, is_own: bool) -> Visitor<'a> {
        Visitor {
            parts,
            style: self.lines.format.style(),
            is_own,
            redactor: self.redactor.as_ref(),
        }
    }
}

/// The fields of a span, rendered for the events in it.
struct SpanFields(String);

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut parts = Parts::default();
        let is_own = logging::is_own(attributes.metadata());
        attributes.record(&mut self.visitor(&mut parts, is_own));
        span.extensions_mut().insert(SpanFields(parts.fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let head = Head {
            level: *metadata.level(),
            target: metadata.target(),
        };
        let is_own = logging::is_own(metadata);
        self.lines.push(head, |parts| {
            for span in context.event_scope(event).into_iter().flatten() {
                // A monitor's event has the tags of its monitor itself, which the span would repeat.
                if is_own && logging::is_own(span.metadata()) {
                    continue;
                }
                if let Some(SpanFields(fields)) = span.extensions().get() {
                    (self.lines.format.style().group)(&mut parts.fields, &Rendered(fields));
                }
            }
            event.record(&mut self.visitor(parts, is_own));
        });
    }
}

/// Fields that are rendered already.
struct Rendered<'a>(&'a str);

impl fmt::Debug for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_start())
    }
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLayer")
            .field("format", &self.lines.format)
            .finish_non_exhaustive()
    }
}

/// Flushes a log: when it is dropped, what waits is written, as far as that takes at most two seconds.
///
/// Lines that come later are written as well if the process lives long enough; nobody waits for them. The thread that
/// writes ends with the layer.
#[must_use = "dropping the guard flushes the log: keep it until the end of `main`"]
pub struct LogGuard(Queue);

impl LogGuard {
    /// How many lines were dropped, since they came faster than they could be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Waits until all lines so far are written, at most two seconds; reports whether they are.
    pub fn flush(&self) -> bool {
        self.0.flush()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.flush();
    }
}

impl fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGuard")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
