//! The writer of a log.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::Owner;
use super::error::WriteLogError;
use super::sink::{self, LogSink};
use super::state::Start;
use super::wakers::WakerKey;
use crate::segments::SEGMENT_SIZE;

/// Maximum size of one [`AsyncWrite::poll_write`], which must fit into a segment.
const MAX_POLL_WRITE: usize = SEGMENT_SIZE - 1;

/// Appends to a [`FollowedLog`](super::FollowedLog). Clones append to the same log, from any thread.
///
/// The bytes of one call are contiguous in the log, whatever other writers do. Followers see them when the
/// call returns; the file receives them in larger pieces, at the latest when the log is closed or
/// [flushed](Self::flush). So `Ok` means that readers will receive the bytes; as with any buffered writer, a
/// full disk is reported by a later call, at the latest by `close`. After that, every call fails.
///
/// # Blocking and async use
///
/// [`write_all`](Self::write_all) copies to memory and never waits for readers, so async code may call it.
/// It blocks only while 4 MiB are pending. Within a tokio runtime, the file is written on blocking threads;
/// otherwise by the thread whose write exceeds the flush threshold.
///
/// For output faster than the disk, use [`AsyncWrite`], which waits asynchronously. One call accepts up to
/// 64 KiB atomically; dropping a future between calls, as with `tokio::io::copy`, loses no accepted bytes.
pub struct LogWriter {
    owner: Arc<Owner>,
    waiting: Option<WakerKey>,
}

impl LogWriter {
    pub(super) fn new(owner: Arc<Owner>) -> Self {
        Self {
            owner,
            waiting: None,
        }
    }

    /// Appends bytes contiguously.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), WriteLogError> {
        self.owner.shared.append(bytes, Start::Anywhere)
    }

    /// Appends bytes contiguously at the start of a line: after an unfinished line, a line feed is inserted.
    ///
    /// This keeps the prefix of a worker line at the start of a line, whatever a process left unfinished.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    ///
    /// # Example
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("task.log");
    /// let log = runtime_ioext::FollowedLog::create(&path)?;
    /// log.writer().write_all(b"downloading... 57 %")?;
    /// log.writer().write_on_new_line(b"[worker] out of time\n")?;
    /// log.close()?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "downloading... 57 %\n[worker] out of time\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_on_new_line(&self, bytes: &[u8]) -> Result<(), WriteLogError> {
        self.owner.shared.append(bytes, Start::OfLine)
    }

    /// Appends formatted text contiguously, so that `write!(writer, ..)` is atomic.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    pub fn write_fmt(&self, text: fmt::Arguments<'_>) -> Result<(), WriteLogError> {
        match text.as_str() {
            Some(text) => self.write_all(text.as_bytes()),
            None => self.write_all(text.to_string().as_bytes()),
        }
    }

    /// Flushes all bytes written so far to the file.
    ///
    /// Readers do not need it. Use it for programs that read the file directly, and to limit the loss from a
    /// crash of the process. It does not sync the disk (`fsync`).
    ///
    /// # Errors
    ///
    /// If a write to the file failed. A closed log is already flushed, so this succeeds.
    pub fn flush(&self) -> Result<(), WriteLogError> {
        self.owner.shared.flush()
    }
}

impl LogSink for LogWriter {
    fn wait_until_ready(&mut self) {
        self.owner.shared.block_until_ready();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.owner.shared.poll_ready(&mut self.waiting, cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        self.owner.shared.append_unbounded(bytes)
    }

    fn start_flush(&mut self) {
        self.owner.shared.start_flush();
    }

    /// No effect: a writer buffers nothing itself.
    fn finish(&mut self) -> Result<(), WriteLogError> {
        Ok(())
    }
}

impl Clone for LogWriter {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.owner))
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("path", &self.owner.shared.path)
            .finish_non_exhaustive()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            self.owner.shared.remove_writer(key);
        }
    }
}

impl io::Write for &LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LogWriter::write_all(self, bytes)?;
        Ok(bytes.len())
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(LogWriter::write_fmt(self, text)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(LogWriter::flush(self)?)
    }
}

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        Ok(Self::write_fmt(self, text)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(Self::flush(self)?)
    }
}

impl AsyncWrite for LogWriter {
    /// Waits while too many bytes are pending.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        sink::poll_write(&mut *self, cx, bytes, MAX_POLL_WRITE)
    }

    /// Starts a flush without waiting for it: readers already see the bytes, and copies flush whenever their
    /// source is idle.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.owner.shared.start_flush();
        Poll::Ready(Ok(()))
    }

    /// Like `poll_flush`: the log stays open for other writers.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
