//! Tags and fields of an event, redacted and formatted only when a subscriber reads them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use runtime_core::monitor::{Field, FieldValue, MonitorTags};
use runtime_ioext::log::Redactor;

/// The tags and fields of an event: those of the monitor, those of all monitors, and those of the line.
///
/// A `tracing` value can only be formatted, so the flags of the formatter select the syntax: `{:?}` writes
/// `name=value name=value`, `{:#?}` the members of a JSON object without braces, and `{:+?}` one `NAME=value` line per field
/// for journald.
pub(crate) struct EventFields<'a> {
    pub(crate) tags: &'a MonitorTags,
    pub(crate) common: &'a [(String, String)],
    pub(crate) fields: &'a [Field<'a>],
    pub(crate) redactor: Option<&'a Redactor>,
}

impl EventFields<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.common.is_empty() && self.tags.iter().next().is_none()
    }

    /// Calls `write` with each name once, outermost first, with the innermost value.
    fn for_each(&self, mut write: impl FnMut(&str, FieldValue<'_>) -> fmt::Result) -> fmt::Result {
        let is_overridden = |name: &str| self.fields.iter().any(|(field, _)| *field == name);
        for (name, value) in merged_tags(self.tags, self.common) {
            if !is_overridden(name) {
                write(name, FieldValue::Text(&redacted(self.redactor, value)))?;
            }
        }
        for (name, value) in self.fields {
            let text: Cow<'_, str> = match value {
                FieldValue::Text(text) => (*text).into(),
                FieldValue::Display(value) => value.to_string().into(),
                number => {
                    write(name, *number)?;
                    continue;
                }
            };
            write(name, FieldValue::Text(&redacted(self.redactor, &text)))?;
        }
        Ok(())
    }
}

/// Returns the tags of a monitor and those of all monitors: each name once, outermost first, with the innermost value.
pub(crate) fn merged_tags<'a>(
    tags: &'a MonitorTags,
    common: &'a [(String, String)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let common = common.iter().rev();
    let common = common.map(|(name, value)| (&**name, &**value));
    let own = tags
        .iter()
        .map(|(name, value)| -> (&str, &str) { (name, value) });
    let mut merged: Vec<(&str, &str)> = Vec::new();
    for (name, value) in own.chain(common) {
        // A linear search: there are a handful of tags, and a set would allocate for every line.
        if merged.iter().all(|(known, _)| *known != name) {
            merged.push((name, value));
        }
    }
    merged.into_iter().rev()
}

impl fmt::Debug for EventFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (json, journal) = (f.alternate(), f.sign_plus());
        let mut separator = "";
        self.for_each(|name, value| {
            if journal {
                let mut field = String::new();
                push_journal_field(&mut field, name, &value.to_string());
                return f.write_str(&field);
            }
            f.write_str(separator)?;
            separator = if json { "," } else { " " };
            if json {
                write!(f, "{}:{}", json_string(name), JsonValue(value))
            } else {
                write!(f, "{name}={value}")
            }
        })
    }
}

/// Formats a value as JSON.
struct JsonValue<'a>(FieldValue<'a>);

impl fmt::Display for JsonValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::Bool(_) | FieldValue::Unsigned(_) | FieldValue::Signed(_) => self.0.fmt(f),
            // JSON has no NaN and no infinity: those become strings.
            FieldValue::Float(value) if value.is_finite() => value.fmt(f),
            text => f.write_str(&json_string(&text.to_string())),
        }
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Appends a field in the native protocol of journald: `NAME=value` and a line feed.
pub(crate) fn push_journal_field(out: &mut String, name: &str, value: &str) {
    for c in name.chars() {
        match c {
            // journald accepts only upper case, digits and `_`: `taskId` becomes `TASK_ID`.
            c if c.is_ascii_uppercase() => {
                if !out.is_empty() && !out.ends_with(['\n', '_']) {
                    out.push('_');
                }
                out.push(c);
            }
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_uppercase()),
            _ => out.push('_'),
        }
    }
    // The protocol precedes a multi-line value with its binary length, which a `String` cannot hold. Line feeds are
    // therefore escaped. `MESSAGE` is written separately and keeps its lines.
    let _ = writeln!(out, "={}", value.replace('\n', "\\n"));
}

/// Formats a message without secrets.
pub(crate) struct RedactedMessage<'a> {
    pub(crate) message: &'a dyn fmt::Display,
    pub(crate) redactor: Option<&'a Redactor>,
}

impl fmt::Display for RedactedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.redactor.filter(|redactor| !redactor.is_empty()) {
            // Without secrets, the message is written directly, without an intermediate string.
            None => self.message.fmt(f),
            // The message is formatted as a whole first: a secret may span several of its pieces.
            Some(redactor) => f.write_str(&redactor.redact_str(&self.message.to_string())),
        }
    }
}

/// Returns `text` with the secrets replaced.
pub(crate) fn redacted<'a>(redactor: Option<&Redactor>, text: &'a str) -> Cow<'a, str> {
    redactor.map_or(Cow::Borrowed(text), |redactor| redactor.redact_str(text))
}
