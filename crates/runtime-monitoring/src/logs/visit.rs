//! Takes the fields of an event apart.

use std::fmt::{self, Write as _};

use runtime_ioext::log::Redactor;
use tracing::field::{Field, Visit};

use crate::fields::redacted;

/// What an event consists of, apart from its metadata. Kept between events for its memory.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) message: String,
    pub(super) prefix: String,
    /// Name and value pairs, rendered as the format wants them.
    pub(super) fields: String,
    scratch: String,
}

impl Parts {
    pub(super) fn clear(&mut self) {
        self.message.clear();
        self.prefix.clear();
        self.fields.clear();
    }
}

/// How a format renders a field.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Writes a field with a text.
    pub(super) text: fn(&mut String, &str, &str),
    /// Writes a field with a number or a truth value.
    pub(super) number: fn(&mut String, &str, fmt::Arguments<'_>),
    /// Writes several fields at once, which a flag of the formatter makes fit, see [`Tags`](crate::fields::Tags).
    pub(super) group: fn(&mut String, &dyn fmt::Debug),
}

/// Fills [`Parts`] with the fields of an event or a span.
pub(super) struct Visitor<'a> {
    pub(super) parts: &'a mut Parts,
    pub(super) style: Style,
    /// Whether the event is of a monitor, which has removed the secrets and names its own fields.
    pub(super) is_own: bool,
    pub(super) redactor: Option<&'a Redactor>,
}

impl Visitor<'_> {
    fn text(&mut self, field: &Field, value: &str) {
        let value = redacted(self.redactor.filter(|_| !self.is_own), value);
        match field.name() {
            "message" => self.parts.message.push_str(&value),
            "prefix" if self.is_own => self.parts.prefix.push_str(&value),
            // Spans have them beside the tags, for subscribers that look for single fields.
            "taskId" | "runId" if self.is_own => {}
            name => (self.style.text)(&mut self.parts.fields, name, &value),
        }
    }

    fn number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        (self.style.number)(&mut self.parts.fields, field.name(), value);
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_own && field.name() == "tags" {
            return (self.style.group)(&mut self.parts.fields, value);
        }
        let mut text = std::mem::take(&mut self.parts.scratch);
        text.clear();
        // A value that cannot be formatted shows as far as it could be.
        let _ = write!(text, "{value:?}");
        self.text(field, &text);
        self.parts.scratch = text;
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
        match value.is_finite() {
            true => self.number(field, format_args!("{value}")),
            false => self.text(field, &value.to_string()),
        }
    }
}
