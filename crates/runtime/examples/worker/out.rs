//! Lines for people and programs. That a reader has gone, as `head` does, is no reason to stop working.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

/// Writes a line of what was asked for to standard output; an error is what keeps it from somebody who still reads.
pub(crate) fn result(line: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Says a line on standard output, as long as that is heard.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Says a line on standard error, as long as that is heard.
pub(crate) fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
