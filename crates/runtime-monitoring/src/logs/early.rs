//! A monitor that needs neither a configuration nor a subscriber.

use std::fmt;
use std::io;

use runtime_core::chain;
use runtime_core::monitor::{Level, MonitorSink, Report, Scope, Severity};

use super::lines::{Head, LineFormat, Lines};
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
            lines: Lines::start(format, Box::new(io::stderr()))?,
            metrics: Metrics::new(),
        })
    }

    /// Writes a line with the fields that `fill` adds.
    fn line(
        &self,
        scope: &Scope,
        level: Level,
        message: &dyn fmt::Display,
        fill: impl FnOnce(&mut Parts),
    ) {
        let head = Head {
            level,
            target: TARGET,
        };
        self.lines.push(head, |parts| {
            parts.message = message.to_string();
            parts.prefix.push_str(scope.prefix());
            self.tags(scope, parts);
            fill(parts);
        });
    }

    fn tags(&self, scope: &Scope, parts: &mut Parts) {
        let tags = Tags {
            scope,
            common: &[],
            redact: None,
        };
        if !tags.is_empty() {
            (self.lines.format.style().group)(&mut parts.fields, &tags);
        }
    }
}

impl MonitorSink for EarlyMonitor {
    fn count(&self, scope: &Scope, name: &'static str, n: u64) {
        self.metrics.count(scope, name, n);
    }

    fn measure(&self, scope: &Scope, name: &'static str, value: f64) {
        self.metrics.measure(scope, name, value);
    }

    fn log(&self, scope: &Scope, level: Level, message: &dyn fmt::Display) {
        if level <= Level::INFO {
            self.line(scope, level, message, |_| {});
        }
    }

    fn report(&self, scope: &Scope, report: &Report<'_>) {
        let level = match report.severity {
            Severity::Warning => Level::WARN,
            Severity::Error => Level::ERROR,
        };
        let text = self.lines.format.style().text;
        self.line(scope, level, report.context, |parts| {
            text(&mut parts.fields, "incident", &report.incident.to_string());
            text(&mut parts.fields, "error", &chain(report.error));
        });
    }
}

impl Drop for EarlyMonitor {
    fn drop(&mut self) {
        self.lines.queue.end();
    }
}
