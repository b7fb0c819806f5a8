//! Values that are only formatted if somebody listens.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use runtime_core::monitor::{Field, MonitorTags, Value};
use runtime_ioext::log::Redactor;

/// The fields that all events of a monitor may have: prefix and tags of the scope, tags that all
/// scopes have, and fields of one line.
///
/// The flags of the formatter choose how they are written, since a value of a `tracing` event cannot be asked for
/// anything else: `{:?}` gives `name=value name=value`, `{:#?}` the members of a JSON object without
/// braces, and `{:+?}` a line `NAME=value` each, as journald takes them.
pub(crate) struct Tags<'a> {
    pub(crate) scope: &'a MonitorTags,
    pub(crate) common: &'a [(String, String)],
    pub(crate) fields: &'a [Field<'a>],
    pub(crate) redactor: Option<&'a Redactor>,
}

impl Tags<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.common.is_empty() && self.scope.tags().next().is_none()
    }

    /// The outermost first, and each name once, with the innermost value.
    fn each(&self, mut write: impl FnMut(&str, Value<'_>) -> fmt::Result) -> fmt::Result {
        let fields = self.fields.iter().map(|(name, _)| *name);
        let hidden: Vec<&str> = fields.collect();
        for (name, value) in tags(self.scope, self.common) {
            if !hidden.contains(&name) {
                write(name, Value::Text(&redacted(self.redactor, value)))?;
            }
        }
        for (name, value) in self.fields {
            match value {
                Value::Text(text) => write(name, Value::Text(&redacted(self.redactor, text)))?,
                Value::Display(value) => {
                    let text = value.to_string();
                    write(name, Value::Text(&redacted(self.redactor, &text)))?;
                }
                number => write(name, *number)?,
            }
        }
        Ok(())
    }
}

/// The tags of a scope and those that all scopes have: the outermost first, and each name once, with the innermost value.
pub(crate) fn tags<'a>(
    scope: &'a MonitorTags,
    common: &'a [(String, String)],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let common = common.iter().rev();
    let common = common.map(|(name, value)| (&**name, &**value));
    let of_scope = scope
        .tags()
        .map(|(name, value)| -> (&str, &str) { (name, value) });
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for (name, value) in of_scope.chain(common) {
        if tags.iter().all(|(known, _)| *known != name) {
            tags.push((name, value));
        }
    }
    tags.into_iter().rev()
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (json, journal) = (f.alternate(), f.sign_plus());
        let mut separator = "";
        self.each(|name, value| {
            if journal {
                let mut field = String::new();
                push_journal(&mut field, name, &value.to_string());
                return f.write_str(&field);
            }
            f.write_str(std::mem::replace(
                &mut separator,
                if json { "," } else { " " },
            ))?;
            match json {
                true => write!(f, "{}:{}", json_text(name), JsonValue(value)),
                false => write!(f, "{name}={value}"),
            }
        })
    }
}

/// A value as JSON.
struct JsonValue<'a>(Value<'a>);

impl fmt::Display for JsonValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Bool(_) | Value::Unsigned(_) | Value::Signed(_) => self.0.fmt(f),
            Value::Float(value) if value.is_finite() => value.fmt(f),
            text => f.write_str(&json_text(&text.to_string())),
        }
    }
}

/// A text as a JSON string.
fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Adds a field in the form that journald takes: `NAME=value`, or the length before a value of many lines.
pub(crate) fn push_journal(out: &mut String, name: &str, value: &str) {
    for c in name.chars() {
        match c {
            // `taskId` becomes `TASK_ID`; names of the journal have no lower case.
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
    // A value of many lines has its length in binary before it, which a string cannot hold; so a
    // line feed becomes what people see of it. `MESSAGE` is written elsewhere and keeps its lines.
    let _ = writeln!(out, "={}", value.replace('\n', "\\n"));
}

/// A message without secrets.
pub(crate) struct Redacted<'a> {
    pub(crate) message: &'a dyn fmt::Display,
    pub(crate) redactor: Option<&'a Redactor>,
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.redactor.filter(|redactor| !redactor.is_empty()) {
            // With nothing to hide, it goes where it is wanted without a copy.
            None => self.message.fmt(f),
            Some(redactor) => f.write_str(&redactor.redact_str(&self.message.to_string())),
        }
    }
}

/// The text without secrets.
pub(crate) fn redacted<'a>(redactor: Option<&Redactor>, text: &'a str) -> Cow<'a, str> {
    redactor.map_or(Cow::Borrowed(text), |redactor| redactor.redact_str(text))
}
