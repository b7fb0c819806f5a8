//! A monitor for the time before the configuration is read. Needs no subscriber.

use std::io;

use runtime_core::error_chain;
use runtime_core::monitor::{
    Counter, Field, Histogram, IncidentReport, Level, LogRecord, MonitorSink, MonitorTags, Severity,
};

use super::event::{EventMeta, RenderedEvent};
use super::event_writer::EventWriter;
use super::format::LineFormat;
use super::output::StreamOutput;
use crate::fields::EventFields;
use crate::logging_monitor::TARGET;
use crate::metrics::Metrics;

/// Writes lines of level `info` and above to standard error, without `tracing`.
pub(crate) struct BootstrapMonitor {
    writer: EventWriter,
    metrics: Metrics,
}

impl BootstrapMonitor {
    pub(crate) fn start(format: LineFormat) -> io::Result<Self> {
        Ok(Self {
            writer: EventWriter::start(format, Box::new(StreamOutput(io::stderr())))?,
            metrics: Metrics::new(),
        })
    }

    /// Writes a line with the fields that `add_fields` appends.
    fn write(
        &self,
        tags: &MonitorTags,
        record: &LogRecord<'_>,
        add_fields: impl FnOnce(&mut RenderedEvent),
    ) {
        let meta = EventMeta {
            level: record.level,
            target: TARGET,
        };
        self.writer.write(meta, |event| {
            event.message = record.message.to_string();
            event.prefix.push_str(tags.prefix());
            self.add_tags(tags, record.fields, event);
            add_fields(event);
        });
    }

    fn add_tags(&self, tags: &MonitorTags, fields: &[Field<'_>], event: &mut RenderedEvent) {
        let fields = EventFields {
            tags,
            common: &[],
            fields,
            redactor: None,
        };
        if !fields.is_empty() {
            (self.writer.format.field_style().group)(&mut event.fields, &fields);
        }
    }
}

impl MonitorSink for BootstrapMonitor {
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
        if record.level <= Level::INFO {
            self.write(tags, record, |_| {});
        }
    }

    fn report(&self, tags: &MonitorTags, report: &IncidentReport<'_>) {
        let level = match report.severity {
            Severity::Warning => Level::WARN,
            Severity::Error => Level::ERROR,
        };
        let text = self.writer.format.field_style().text;
        let record = LogRecord {
            level,
            message: report.context,
            fields: &[],
        };
        self.write(tags, &record, |event| {
            text(&mut event.fields, "incident", &report.incident.to_string());
            text(&mut event.fields, "error", &error_chain(report.error));
        });
    }
}
