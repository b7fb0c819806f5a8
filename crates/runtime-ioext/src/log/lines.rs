//! Keeps lines whole that come in pieces.

use std::task::{Context, Poll};

use super::error::WriteLogError;
use super::sink::{LogSink, impl_writer};
use super::writer::LogWriter;

/// A line that is longer than this is passed on in pieces.
const LONGEST: usize = 32 * 1024;

/// Writes to a log in whole lines, for the output of a child process.
///
/// A pipe gives bytes in arbitrary pieces. This one holds back the beginning of a line until its end
/// comes, so that lines of two streams that go to the same log do not run into each other. It holds back at
/// most 32 KiB; a longer line is passed on in pieces.
///
/// [`finish`](LogSink::finish), shutting it down or dropping it writes a last line that has no end.
/// Flushing does not, because copies flush whenever their source pauses.
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
    begun: Vec<u8>,
}

impl<S: LogSink> LineWriter<S> {
    /// Makes an adaptor in front of a writer.
    #[must_use]
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            begun: Vec::new(),
        }
    }

    fn push_begun(&mut self) -> Result<(), WriteLogError> {
        match std::mem::take(&mut self.begun) {
            begun if begun.is_empty() => Ok(()),
            begun => self.sink.push(&begun),
        }
    }

    fn push_whole(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        match (self.begun.is_empty(), bytes.is_empty()) {
            (_, true) => Ok(()),
            (true, false) => self.sink.push(bytes),
            (false, false) => {
                self.begun.extend_from_slice(bytes);
                self.push_begun()
            }
        }
    }
}

impl<S: LogSink> LogSink for LineWriter<S> {
    fn wait_for_room(&mut self) {
        self.sink.wait_for_room();
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_room(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        let end = match bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => last + 1,
            None if self.begun.len() + bytes.len() > LONGEST => bytes.len(),
            None => 0,
        };
        let (whole, begun) = bytes.split_at(end);
        self.push_whole(whole)?;
        self.begun.extend_from_slice(begun);
        Ok(())
    }

    fn start_flush(&mut self) {
        self.sink.start_flush();
    }

    fn finish(&mut self) -> Result<(), WriteLogError> {
        self.push_begun()?;
        self.sink.finish()
    }
}

impl_writer!(LineWriter);

impl<S: LogSink> Drop for LineWriter<S> {
    /// A failure here is not lost: the log is broken, and whoever closes it hears of it.
    fn drop(&mut self) {
        drop(self.push_begun());
    }
}
