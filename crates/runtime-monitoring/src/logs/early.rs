//! A monitor that needs neither a configuration nor a subscriber.

use std::io;

use runtime_core::error_chain;
use runtime_core::monitor::{
    Counter, Field, Level, MonitorSink, MonitorTags, Record, Report, Severity,
};

use super::lines::{Head, LineFormat, Lines};
use super::out::Stream;
use super::visit::Parts;
use crate::fields::Tags;
use crate::{Metrics, TARGET};

/// Writes what operators want to know to standard error, without `tracing`.
pub(crate) struct EarlyMonitor {
    lines: Lines,
    metrics: Metrics,
}

impl EarlyMonitor {
    pub(crate) fn start(format: LineFormat) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::start(format, Box::new(Stream(io::stderr())))?,
            metrics: Metrics::new(),
        })
    }

    /// Writes a line with the fields that `fill` adds.
    fn line(&self, scope: &MonitorTags, record: &Record<'_>, fill: impl FnOnce(&mut Parts)) {
        let head = Head {
            level: record.level,
            target: TARGET,
        };
        self.lines.push(head, |parts| {
            parts.message = record.message.to_string();
            parts.prefix.push_str(scope.prefix());
            self.tags(scope, record.fields, parts);
            fill(parts);
        });
    }

    fn tags(&self, scope: &MonitorTags, fields: &[Field<'_>], parts: &mut Parts) {
        let tags = Tags {
            scope,
            common: &[],
            fields,
            redactor: None,
        };
        if !tags.is_empty() {
            (self.lines.format.style().group)(&mut parts.fields, &tags);
        }
    }
}

impl MonitorSink for EarlyMonitor {
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
        if record.level <= Level::INFO {
            self.line(scope, record, |_| {});
        }
    }

    fn report(&self, scope: &MonitorTags, report: &Report<'_>) {
        let level = match report.severity {
            Severity::Warning => Level::WARN,
            Severity::Error => Level::ERROR,
        };
        let text = self.lines.format.style().text;
        let record = Record {
            level,
            message: report.context,
            fields: &[],
        };
        self.line(scope, &record, |parts| {
            text(&mut parts.fields, "incident", &report.incident.to_string());
            text(&mut parts.fields, "error", &error_chain(report.error));
        });
    }
}
