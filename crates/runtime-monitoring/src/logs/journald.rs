//! Entries in the native protocol of journald: one datagram of `NAME=value` lines per entry.

use std::fmt::Write as _;
use std::io::Write as _;

use tracing::Level;

use super::event::{EventMeta, FieldStyle, RenderedEvent};
use crate::fields::push_journal_field;

/// The socket of the journal.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) const STYLE: FieldStyle = FieldStyle {
    text: push_journal_field,
    number: |fields, name, value| push_journal_field(fields, name, &value.to_string()),
    group: |fields, group| {
        let _ = write!(fields, "{group:+?}");
    },
};

/// Writes an entry.
pub(super) fn write_entry(out: &mut Vec<u8>, meta: EventMeta<'_>, event: &RenderedEvent) {
    let priority = meta.severity().0;
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "PRIORITY={priority}\nSYSLOG_IDENTIFIER=worker\n");
    let target = meta.target;
    let _ = match &*event.prefix {
        "" => writeln!(out, "TARGET={target}"),
        prefix => writeln!(out, "TARGET={target}\nPREFIX={prefix}"),
    };
    // Syslog priorities have no level below debug.
    if meta.level == Level::TRACE {
        out.extend_from_slice(b"LEVEL=trace\n");
    }
    out.extend_from_slice(event.fields.as_bytes());
    // The second form of a field allows line feeds: name, line feed, length as 64-bit little endian, value, line feed.
    let message = event.message.as_bytes();
    out.extend_from_slice(b"MESSAGE\n");
    out.extend_from_slice(&(message.len() as u64).to_le_bytes());
    out.extend_from_slice(message);
    out.push(b'\n');
}
