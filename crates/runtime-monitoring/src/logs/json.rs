//! The JSON format: one object per line, with the field names of Taskcluster's services (`lib-monitor`).

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::event::{EventMeta, FieldStyle, RenderedEvent};

pub(super) const STYLE: FieldStyle = FieldStyle {
    text: |fields, name, value| {
        push_key(fields, name);
        push_string(fields, value);
    },
    number: |fields, name, value| {
        push_key(fields, name);
        let _ = fields.write_fmt(value);
    },
    group: |fields, group| {
        push_comma(fields);
        let _ = write!(fields, "{group:#?}");
    },
};

/// Writes an object in the format `mozlog 2.0`: `Timestamp` in nanoseconds, `Severity` as in syslog. The lower-case
/// `message` and `severity` are for log services such as Google Cloud Logging.
pub(super) fn write_line(
    out: &mut Vec<u8>,
    now: Timestamp,
    meta: EventMeta<'_>,
    event: &RenderedEvent,
) {
    let kind = match &*event.prefix {
        "" => meta.target,
        prefix => prefix,
    };
    let (number, name) = meta.severity();
    let nanoseconds = now.as_nanosecond();
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, r#"{{"Timestamp":{nanoseconds},"Type":"#);
    write_string(out, kind);
    let pid = std::process::id();
    let fields = &event.fields;
    let _ = write!(
        out,
        r#","Logger":"worker","EnvVersion":"2.0","Severity":{number},"Pid":{pid},"Fields":{{{fields}}},"message":"#
    );
    write_string(out, &event.message);
    let _ = writeln!(out, r#","severity":"{name}"}}"#);
}

fn push_key(fields: &mut String, name: &str) {
    push_comma(fields);
    push_string(fields, name);
    fields.push(':');
}

fn push_comma(fields: &mut String) {
    if !fields.is_empty() {
        fields.push(',');
    }
}

fn push_string(out: &mut String, text: &str) {
    let mut bytes = std::mem::take(out).into_bytes();
    write_string(&mut bytes, text);
    // Always valid: serde_json writes UTF-8.
    *out = String::from_utf8(bytes).unwrap_or_default();
}

/// Writes a JSON string.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut serializer = serde_json::Serializer::new(out);
    let _ = text.serialize(&mut serializer);
}
