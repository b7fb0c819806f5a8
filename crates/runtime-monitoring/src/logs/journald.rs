//! Entries for the journal of systemd, in its own protocol.

use std::fmt::Write as _;
use std::io::Write as _;

use tracing::Level;

use super::lines::Head;
use super::severity;
use super::visit::{Parts, Style};
use crate::fields::push_journal;

/// Where the journal takes entries.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) const STYLE: Style = Style {
    text: push_journal,
    number: |fields, name, value| push_journal(fields, name, &value.to_string()),
    group: |fields, group| {
        let _ = write!(fields, "{group:+?}");
    },
};

/// Writes an entry.
pub(super) fn entry(out: &mut Vec<u8>, head: Head<'_>, parts: &Parts) {
    let priority = severity(head.level).0;
    // Writing to memory does not fail.
    let _ = write!(out, "PRIORITY={priority}\nSYSLOG_IDENTIFIER=worker\n");
    let target = head.target;
    let _ = match &*parts.prefix {
        "" => writeln!(out, "TARGET={target}"),
        prefix => writeln!(out, "TARGET={target}\nPREFIX={prefix}"),
    };
    if head.level == Level::TRACE {
        out.extend_from_slice(b"LEVEL=trace\n");
    }
    out.extend_from_slice(parts.fields.as_bytes());
    // A value that may have many lines stands after its length.
    let message = parts.message.as_bytes();
    out.extend_from_slice(b"MESSAGE\n");
    out.extend_from_slice(&(message.len() as u64).to_le_bytes());
    out.extend_from_slice(message);
    out.push(b'\n');
}
