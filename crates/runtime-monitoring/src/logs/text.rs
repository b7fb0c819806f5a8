//! A line of text an event, for people.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use tracing::Level;

use super::lines::Head;
use super::visit::{Parts, Style};

pub(super) const STYLE: Style = Style {
    text: |fields, name, value| {
        let _ = match value.contains([' ', '"', '\n']) || value.is_empty() {
            true => write!(fields, " {name}={value:?}"),
            false => write!(fields, " {name}={value}"),
        };
    },
    number: |fields, name, value| {
        let _ = write!(fields, " {name}={value}");
    },
    group: |fields, group: &dyn fmt::Debug| {
        let _ = write!(fields, " {group:?}");
    },
};

/// Writes a line: time, level, prefix or target, message, fields.
///
/// Lines after the first of a message are indented, so that each event starts at the margin.
pub(super) fn line(
    out: &mut Vec<u8>,
    now: Timestamp,
    head: Head<'_>,
    parts: &Parts,
    colours: bool,
) {
    let (start, dim, end) = match colours {
        true => (colour(head.level), "\x1b[2m", "\x1b[0m"),
        false => ("", "", ""),
    };
    let time = now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    let level = name(head.level);
    // Writing to memory does not fail.
    let _ = write!(out, "{dim}{time}{end} {start}{level}{end} ");
    body_in(out, head, parts, dim, end);
}

/// Writes the part of a line that is left when somebody else tells time and level.
#[cfg(all(unix, feature = "syslog"))]
pub(super) fn body(out: &mut Vec<u8>, head: Head<'_>, parts: &Parts) {
    body_in(out, head, parts, "", "");
}

fn body_in(out: &mut Vec<u8>, head: Head<'_>, parts: &Parts, dim: &str, end: &str) {
    let origin = match (&*parts.prefix, head.target) {
        ("", crate::TARGET) => "",
        ("", target) => target,
        (prefix, _) => prefix,
    };
    let colon = if origin.is_empty() { "" } else { ": " };
    let message = printable(&parts.message);
    let fields = printable(&parts.fields);
    let _ = writeln!(out, "{origin}{colon}{message}{dim}{fields}{end}");
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN ",
        Level::INFO => "INFO ",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// What a log line quotes may come from a task: it must not move the cursor or change colours.
fn printable(text: &str) -> std::borrow::Cow<'_, str> {
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
