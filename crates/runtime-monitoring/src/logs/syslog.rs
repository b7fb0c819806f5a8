//! Lines for the local syslog daemon (RFC 3164).

use std::io::Write as _;

use super::event::{EventMeta, RenderedEvent};
use super::text;

/// The socket of the daemon.
pub(super) const SOCKET: &str = "/dev/log";

/// The facility `daemon`.
const FACILITY: u8 = 3;

/// Writes a line without a timestamp: the daemon adds its own, in its configured time zone.
pub(super) fn write_line(out: &mut Vec<u8>, meta: EventMeta<'_>, event: &RenderedEvent) {
    let priority = FACILITY * 8 + meta.severity().0;
    let pid = std::process::id();
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "<{priority}>worker[{pid}]: ");
    text::write_body(out, meta, event);
}
