//! Lines on standard output and standard error. A closed pipe, as after `head -1`, does not stop the program.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

/// Writes a result to standard output.
///
/// # Errors
///
/// The error of the operating system, such as for a full disk. A closed pipe is not an error.
pub fn result(line: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line of progress to standard output and ignores errors.
pub fn line(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error and ignores errors.
pub fn error_line(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
