//! A line of JSON an event, with the names that Taskcluster's services use.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use tracing::Level;

use super::lines::Head;
use super::visit::{Parts, Style};

pub(super) const STYLE: Style = Style {
    text: |fields, name, value| {
        key(fields, name);
        string(fields, value);
    },
    number: |fields, name, value| {
        key(fields, name);
        let _ = fields.write_fmt(value);
    },
    group: |fields, group: &dyn fmt::Debug| {
        separate(fields);
        let _ = write!(fields, "{group:#?}");
    },
};

/// Writes a line.
pub(super) fn line(out: &mut Vec<u8>, now: Timestamp, head: Head<'_>, parts: &Parts) {
    let kind = match &*parts.prefix {
        "" => head.target,
        prefix => prefix,
    };
    let (number, name) = severity(head.level);
    let nanoseconds = now.as_nanosecond();
    // Writing to memory does not fail.
    let _ = write!(out, r#"{{"Timestamp":{nanoseconds},"Type":"#);
    value(out, kind);
    let pid = std::process::id();
    let fields = &parts.fields;
    let _ = write!(
        out,
        r#","Logger":"worker","EnvVersion":"2.0","Severity":{number},"Pid":{pid},"Fields":{{{fields}}},"message":"#
    );
    value(out, &parts.message);
    let _ = writeln!(out, r#","severity":"{name}"}}"#);
}

/// The level of syslog, and the name that log services know.
fn severity(level: Level) -> (u8, &'static str) {
    match level {
        Level::ERROR => (3, "ERROR"),
        Level::WARN => (4, "WARNING"),
        Level::INFO => (6, "INFO"),
        Level::DEBUG | Level::TRACE => (7, "DEBUG"),
    }
}

fn key(fields: &mut String, name: &str) {
    separate(fields);
    string(fields, name);
    fields.push(':');
}

fn separate(fields: &mut String) {
    if !fields.is_empty() {
        fields.push(',');
    }
}

fn string(out: &mut String, text: &str) {
    let mut bytes = std::mem::take(out).into_bytes();
    value(&mut bytes, text);
    // JSON in UTF-8 was added to a string in UTF-8.
    *out = String::from_utf8(bytes).unwrap_or_default();
}

fn value(out: &mut Vec<u8>, text: &str) {
    let mut serializer = serde_json::Serializer::new(out);
    let _ = text.serialize(&mut serializer);
}
