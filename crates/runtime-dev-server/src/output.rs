//! Lines on standard output and standard error. A closed pipe, as after `head -1`, is not an error.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

/// Writes a result to standard output. A closed pipe is not an error, but a full disk is.
pub(crate) fn result(line: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error and ignores errors.
pub(crate) fn error_line(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
