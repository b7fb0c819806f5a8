//! The text format, for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Timestamp;
use tracing::Level;

use super::event::{EventMeta, FieldStyle, RenderedEvent};
use crate::logging_monitor::TARGET;

pub(super) const STYLE: FieldStyle = FieldStyle {
    text: |fields, name, value| {
        let _ = if value.contains([' ', '"', '\n']) || value.is_empty() {
            write!(fields, " {name}={value:?}")
        } else {
            write!(fields, " {name}={value}")
        };
    },
    number: |fields, name, value| {
        let _ = write!(fields, " {name}={value}");
    },
    group: |fields, group| {
        let _ = write!(fields, " {group:?}");
    },
};

/// ANSI sequences around parts of a line.
#[derive(Clone, Copy, Default)]
struct AnsiStyle {
    level: &'static str,
    dim: &'static str,
    reset: &'static str,
}

impl AnsiStyle {
    fn new(level: Level) -> Self {
        Self {
            level: match level {
                Level::ERROR => "\x1b[31m",
                Level::WARN => "\x1b[33m",
                Level::INFO => "\x1b[32m",
                Level::DEBUG => "\x1b[34m",
                Level::TRACE => "\x1b[35m",
            },
            dim: "\x1b[2m",
            reset: "\x1b[0m",
        }
    }
}

/// Writes a line: time, level, prefix or target, message, fields.
pub(super) fn write_line(
    out: &mut Vec<u8>,
    now: Timestamp,
    meta: EventMeta<'_>,
    event: &RenderedEvent,
    has_colours: bool,
) {
    let style = if has_colours {
        AnsiStyle::new(meta.level)
    } else {
        AnsiStyle::default()
    };
    let AnsiStyle { level, dim, reset } = style;
    let time = now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    let name = level_name(meta.level);
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "{dim}{time}{reset} {level}{name}{reset} ");
    write_styled_body(out, meta, event, style);
}

/// Writes a line without time and level, which syslog adds itself.
#[cfg(all(unix, feature = "syslog"))]
pub(super) fn write_body(out: &mut Vec<u8>, meta: EventMeta<'_>, event: &RenderedEvent) {
    write_styled_body(out, meta, event, AnsiStyle::default());
}

fn write_styled_body(
    out: &mut Vec<u8>,
    meta: EventMeta<'_>,
    event: &RenderedEvent,
    style: AnsiStyle,
) {
    let origin = match (&*event.prefix, meta.target) {
        // A line of a monitor without prefix. Its target is always the same and says nothing.
        ("", TARGET) => "",
        ("", target) => target,
        (prefix, _) => prefix,
    };
    let colon = if origin.is_empty() { "" } else { ": " };
    let message = printable(&event.message);
    let fields = printable(&event.fields);
    let AnsiStyle { dim, reset, .. } = style;
    let _ = writeln!(out, "{origin}{colon}{message}{dim}{fields}{reset}");
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN ",
        Level::INFO => "INFO ",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Escapes control characters and indents continuation lines.
///
/// A line may quote text of a task, which could otherwise move the cursor, change colours or imitate the start of another
/// line.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control()) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\n    "),
            '\t' => safe.push('\t'),
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe.into()
}
