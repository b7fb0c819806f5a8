//! Reassembles lines from output that arrives in arbitrary pieces.

use std::task::{Context, Poll};

use super::error::WriteLogError;
use super::sink::{self, LogSink, impl_writer};
use super::writer::LogWriter;

/// Maximum length in bytes of a buffered line. Without this limit, output without line feeds would never be
/// written.
const MAX_LINE_LEN: usize = 32 * 1024;

/// Writes whole lines to a log, for the output of a child process.
///
/// A pipe returns arbitrary pieces of the output. This writer buffers an incomplete line until its line
/// feed, so that lines of two streams in the same log are not mixed. At most 32 KiB are buffered; a longer
/// line is written in pieces.
///
/// [`finish`](LogSink::finish), a shutdown and a drop write an incomplete last line. A flush does not,
/// because copies flush whenever their source is idle.
///
/// # Example
///
/// ```
/// use runtime_ioext::log::{FollowedLog, LineWriter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("task.log");
/// let log = FollowedLog::create(&path)?;
/// let (mut stdout, mut stderr) = (LineWriter::new(log.writer()), LineWriter::new(log.writer()));
/// stdout.write_all(b"compi")?;
/// stderr.write_all(b"warning: late\n")?;
/// stdout.write_all(b"ling\n")?;
/// log.close()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "warning: late\ncompiling\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LineWriter<S: LogSink = LogWriter> {
    sink: S,
    partial_line: Vec<u8>,
}

impl<S: LogSink> LineWriter<S> {
    /// Creates a writer of lines to `sink`.
    #[must_use]
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            partial_line: Vec::new(),
        }
    }

    fn push_partial_line(&mut self) -> Result<(), WriteLogError> {
        let partial_line = std::mem::take(&mut self.partial_line);
        sink::push_buffered(&mut self.sink, &partial_line)
    }

    /// Pushes the partial line and its continuation in one call, which keeps them contiguous in the log.
    fn push_lines(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.partial_line.is_empty() {
            return self.sink.push(bytes);
        }
        self.partial_line.extend_from_slice(bytes);
        self.push_partial_line()
    }
}

impl<S: LogSink> LogSink for LineWriter<S> {
    fn wait_until_ready(&mut self) {
        self.sink.wait_until_ready();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_ready(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        let end = match bytes.iter().rposition(|&byte| byte == b'\n') {
            // Complete lines pass in one push, which is one copy instead of one per line.
            Some(last) => last + 1,
            // Too long to buffer. The pieces of such a line may be mixed with other output.
            None if self.partial_line.len() + bytes.len() > MAX_LINE_LEN => bytes.len(),
            None => 0,
        };
        let (lines, partial_line) = bytes.split_at(end);
        self.push_lines(lines)?;
        self.partial_line.extend_from_slice(partial_line);
        Ok(())
    }

    fn start_flush(&mut self) {
        self.sink.start_flush();
    }

    fn finish(&mut self) -> Result<(), WriteLogError> {
        self.push_partial_line()?;
        self.sink.finish()
    }
}

impl_writer!(LineWriter);

impl<S: LogSink> Drop for LineWriter<S> {
    /// Ignores an error: the log has failed, and returns the error on close.
    fn drop(&mut self) {
        drop(self.push_partial_line());
    }
}
