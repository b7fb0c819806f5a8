//! The `tracing` layer that writes events as lines.

use std::cell::RefCell;
use std::fmt;
use std::io;

use runtime_ioext::log::Redactor;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::event::{EventMeta, FieldRenderer, RenderedEvent};
use super::format::LineFormat;
use super::output::{LogOutput, StreamOutput};
use super::queue::LogQueue;
use crate::logging_monitor::is_own;
use crate::metrics::Metrics;

/// A layer that writes a line per event, of monitors and of all other code that uses `tracing`.
///
/// A dedicated thread writes the lines. If the output is too slow, lines are dropped and counted, and a line in the log
/// states their number. [`LogGuard`] flushes the log. The thread exits when the layer is dropped.
pub struct LogLayer {
    format: LineFormat,
    queue: LogQueue,
    redactor: Option<Redactor>,
}

thread_local! {
    /// The buffers of a thread, reused for each line.
    static BUFFERS: RefCell<(RenderedEvent, Vec<u8>)> = RefCell::default();
}

impl LogLayer {
    /// Creates a layer that writes to `out`.
    ///
    /// # Errors
    ///
    /// If the operating system cannot create a thread.
    pub fn new(
        format: LineFormat,
        out: impl io::Write + Send + 'static,
    ) -> io::Result<(Self, LogGuard)> {
        Self::with_output(format, Box::new(StreamOutput(out)))
    }

    pub(super) fn with_output(
        format: LineFormat,
        output: Box<dyn LogOutput>,
    ) -> io::Result<(Self, LogGuard)> {
        let render_dropped =
            move |batch: &mut Vec<u8>, dropped| format.render_dropped(batch, dropped);
        let queue = LogQueue::start(output, render_dropped)?;
        let guard = LogGuard(queue.clone());
        let layer = Self {
            format,
            queue,
            redactor: None,
        };
        Ok((layer, guard))
    }

    /// Redacts secrets in the events of other libraries.
    ///
    /// Events of monitors are redacted by [their own redactor](crate::LoggingMonitor::with_redactor).
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Counts dropped lines in the metric `monitoring.log-lines-dropped`.
    #[must_use]
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        let counter = metrics.counter("monitoring.log-lines-dropped");
        self.queue.count_dropped(counter);
        self
    }

    /// Writes an event whose dynamic part is added by `fill`.
    ///
    /// Rendering happens on the calling thread: fields borrow from their event, and the writer thread then only copies
    /// bytes.
    fn write(&self, meta: EventMeta<'_>, fill: impl FnOnce(&mut RenderedEvent)) {
        // Taken rather than borrowed: a value that logs while it is formatted calls this function again and then uses new
        // buffers. `try_with` fails while the thread is destroying its thread-locals.
        let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
        let (event, line) = &mut buffers;
        event.clear();
        line.clear();
        fill(event);
        self.format.render(line, meta, event);
        self.queue.push(line);
        let _ = BUFFERS.try_with(|cell| cell.replace(buffers));
    }

    fn renderer<'a>(&'a self, event: &'a mut RenderedEvent, is_own: bool) -> FieldRenderer<'a> {
        FieldRenderer {
            event,
            style: self.format.field_style(),
            is_own,
            redactor: self.redactor.as_ref(),
        }
    }
}

/// The fields of a span, rendered once for all events in it.
///
/// One entry per format, because several layers may share a registry: each adds its own entry.
struct SpanFields(Vec<(LineFormat, String)>);

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut fields = RenderedEvent::default();
        let is_own = is_own(attributes.metadata());
        attributes.record(&mut self.renderer(&mut fields, is_own));
        let fields = (self.format, fields.fields);
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<SpanFields>() {
            Some(SpanFields(other)) => other.push(fields),
            None => extensions.insert(SpanFields(vec![fields])),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let meta = EventMeta {
            level: *metadata.level(),
            target: metadata.target(),
        };
        let is_own_event = is_own(metadata);
        self.write(meta, |line| {
            for span in context.event_scope(event).into_iter().flatten() {
                // An event of a monitor contains the tags of its monitor, which the span of that monitor would repeat.
                if is_own_event && is_own(span.metadata()) {
                    continue;
                }
                let extensions = span.extensions();
                let Some(SpanFields(all)) = extensions.get() else {
                    continue;
                };
                if let Some((_, fields)) = all.iter().find(|(format, _)| *format == self.format) {
                    (self.format.field_style().group)(&mut line.fields, &Rendered(fields));
                }
            }
            event.record(&mut self.renderer(line, is_own_event));
        });
    }
}

/// Fields rendered earlier. Ignores the formatter flags.
struct Rendered<'a>(&'a str);

impl fmt::Debug for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_start())
    }
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLayer")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Flushes a log when dropped, for at most two seconds.
///
/// Later lines are still written while the process runs, but are not waited for. The writer thread exits when the layer is
/// dropped.
#[must_use = "dropping the guard flushes the log: keep it until the end of `main`"]
pub struct LogGuard(LogQueue);

impl LogGuard {
    /// Returns the number of lines dropped because the output was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Waits at most two seconds until all earlier lines are written. Returns whether they are.
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
