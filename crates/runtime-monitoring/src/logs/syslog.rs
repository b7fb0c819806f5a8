//! Lines for the syslog daemon of the machine.

use std::io::Write as _;

use super::lines::Head;
use super::visit::Parts;
use super::{severity, text};

/// Where daemons take lines.
pub(super) const SOCKET: &str = "/dev/log";

/// The facility of system daemons.
const DAEMON: u8 = 3;

/// Writes a line without a time: the daemon has its own, and knows the zone it wants.
pub(super) fn line(out: &mut Vec<u8>, head: Head<'_>, parts: &Parts) {
    let priority = DAEMON * 8 + severity(head.level).0;
    let pid = std::process::id();
    // Writing to memory does not fail.
    let _ = write!(out, "<{priority}>worker[{pid}]: ");
    text::body(out, head, parts);
}
