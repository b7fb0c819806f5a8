//! Keeps lines whole that come in pieces.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{LogWriter, WriteLogError};

/// A line that is longer than this is passed on in pieces.
const LONGEST: usize = 32 * 1024;

/// Writes to a log in whole lines, for the output of a child process.
///
/// A pipe gives bytes in arbitrary pieces. This one holds back the beginning of a line until its end
/// comes, so that lines of two streams that go to the same log do not run into each other. It holds back at
/// most 32 KiB; a longer line is passed on in pieces.
///
/// [`finish`](Self::finish), shutting it down or dropping it writes a last line that has no end. Flushing
/// does not, because copies flush whenever their source pauses.
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
pub struct LineWriter {
    writer: LogWriter,
    begun: Vec<u8>,
}

impl LineWriter {
    /// Makes an adaptor in front of a writer.
    #[must_use]
    pub fn new(writer: LogWriter) -> Self {
        Self {
            writer,
            begun: Vec::new(),
        }
    }

    /// Writes the whole lines of `bytes`, each in one piece, and holds back the rest.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        bytes.chunks(LONGEST).try_for_each(|bytes| {
            self.writer.wait_for_room();
            self.push(bytes)
        })
    }

    /// Writes what is held back, as if its line ended here.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
    pub fn finish(&mut self) -> Result<(), WriteLogError> {
        match std::mem::take(&mut self.begun) {
            begun if begun.is_empty() => Ok(()),
            begun => self.writer.push(&begun),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        let end = match memchr_last(bytes) {
            Some(last) => last + 1,
            None if self.begun.len() + bytes.len() > LONGEST => bytes.len(),
            None => 0,
        };
        let (whole, begun) = bytes.split_at(end);
        self.write_whole(whole)?;
        self.begun.extend_from_slice(begun);
        Ok(())
    }

    fn write_whole(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        match (self.begun.is_empty(), bytes.is_empty()) {
            (_, true) => Ok(()),
            (true, false) => self.writer.push(bytes),
            (false, false) => {
                self.begun.extend_from_slice(bytes);
                self.finish()
            }
        }
    }
}

/// The place of the last line feed.
fn memchr_last(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|&byte| byte == b'\n')
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write_all(self, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.writer)
    }
}

impl AsyncWrite for LineWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writer.poll_room(cx));
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        self.push(bytes)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish()?;
        self.poll_flush(cx)
    }
}

impl Drop for LineWriter {
    /// A failure here is not lost: the log is broken, and whoever closes it hears of it.
    fn drop(&mut self) {
        drop(self.finish());
    }
}
