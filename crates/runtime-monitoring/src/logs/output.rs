//! The destination of rendered lines.

use std::io::Write;

/// Receives rendered lines on the writer thread, where it may block.
///
/// Write errors are ignored: the log is the place where the worker reports errors, and a worker must not fail because the
/// reader of its log has exited.
pub(super) trait LogOutput: Send {
    /// Writes consecutive lines. `ends` holds the end offset of each line.
    fn write(&mut self, lines: &[u8], ends: &[usize]);
}

/// Writes lines to a byte stream.
pub(super) struct StreamOutput<W>(pub(super) W);

impl<W: Write + Send> LogOutput for StreamOutput<W> {
    fn write(&mut self, lines: &[u8], _: &[usize]) {
        let _ = self.0.write_all(lines).and_then(|()| self.0.flush());
    }
}
