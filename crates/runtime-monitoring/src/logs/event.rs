//! The parts of a `tracing` event that a log line consists of.

use std::fmt::{self, Write as _};

use runtime_ioext::log::Redactor;
use tracing::Level;
use tracing::field::{Field, Visit};

use crate::fields::redacted;

/// The static part of an event.
#[derive(Clone, Copy)]
pub(super) struct EventMeta<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
}

impl EventMeta<'_> {
    /// Returns the syslog severity (RFC 5424) and its name in Google Cloud's `LogSeverity`, which Taskcluster services use.
    pub(super) fn severity(&self) -> (u8, &'static str) {
        match self.level {
            Level::ERROR => (3, "ERROR"),
            Level::WARN => (4, "WARNING"),
            Level::INFO => (6, "INFO"),
            Level::DEBUG | Level::TRACE => (7, "DEBUG"),
        }
    }
}

/// The dynamic part of an event. Reused between events, which saves allocations.
#[derive(Default)]
pub(super) struct RenderedEvent {
    pub(super) message: String,
    pub(super) prefix: String,
    /// The fields, rendered in the style of the format.
    pub(super) fields: String,
    /// A buffer for values that only implement `Debug`.
    scratch: String,
}

impl RenderedEvent {
    pub(super) fn clear(&mut self) {
        self.message.clear();
        self.prefix.clear();
        self.fields.clear();
    }
}

/// The functions by which a format appends fields.
#[derive(Clone, Copy)]
pub(super) struct FieldStyle {
    /// Appends a string field.
    pub(super) text: fn(&mut String, &str, &str),
    /// Appends a number or a boolean.
    pub(super) number: fn(&mut String, &str, fmt::Arguments<'_>),
    /// Appends several fields at once, see [`EventFields`](crate::fields::EventFields) for the formatter flags.
    pub(super) group: fn(&mut String, &dyn fmt::Debug),
}

/// Renders the fields of an event or a span into a [`RenderedEvent`].
pub(super) struct FieldRenderer<'a> {
    pub(super) event: &'a mut RenderedEvent,
    pub(super) style: FieldStyle,
    /// Whether a monitor created the event: it is redacted already, and its fields have a known meaning.
    pub(super) is_own: bool,
    pub(super) redactor: Option<&'a Redactor>,
}

impl FieldRenderer<'_> {
    fn text(&mut self, field: &Field, value: &str) {
        let value = redacted(self.redactor.filter(|_| !self.is_own), value);
        match field.name() {
            "message" => self.event.message.push_str(&value),
            "prefix" if self.is_own => self.event.prefix.push_str(&value),
            // Spans of monitors repeat these two tags for subscribers that filter by single fields.
            "taskId" | "runId" if self.is_own => {}
            name => (self.style.text)(&mut self.event.fields, name, &value),
        }
    }

    fn number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        (self.style.number)(&mut self.event.fields, field.name(), value);
    }
}

impl Visit for FieldRenderer<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_own && field.name() == "tags" {
            return (self.style.group)(&mut self.event.fields, value);
        }
        let mut text = std::mem::take(&mut self.event.scratch);
        text.clear();
        // If the value's `Debug` fails, its output so far is kept.
        let _ = write!(text, "{value:?}");
        self.text(field, &text);
        self.event.scratch = text;
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.number(field, format_args!("{value}"));
        } else {
            self.text(field, &value.to_string());
        }
    }
}
