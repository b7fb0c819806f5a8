//! A line of JSON an event, with the names that Taskcluster's services use.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::lines::Head;
use super::severity;
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

/// Fields as one more member of an object that has some already; nothing if there are none.
pub(super) struct FieldsOnly<'a>(pub(super) &'a str);

impl fmt::Display for FieldsOnly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            fields => write!(f, r#","fields":{{{fields}}}"#),
        }
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

/// A text as a JSON string.
pub(super) fn value(out: &mut Vec<u8>, text: &str) {
    let mut serializer = serde_json::Serializer::new(out);
    let _ = text.serialize(&mut serializer);
}
