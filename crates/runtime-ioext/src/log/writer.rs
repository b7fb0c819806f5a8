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
use super::state::Placement;
use super::wakers::WakerKey;
use crate::segments::SEGMENT_SIZE;

/// Maximum size of one [`AsyncWrite::poll_write`]: with one byte less, a program that writes segments would call twice.
const MAX_POLL_WRITE: usize = SEGMENT_SIZE;

/// Appends to a [`FollowedLog`](super::FollowedLog). Clones append to the same log, from any thread.
///
/// The bytes of one call are contiguous in the log, whatever other writers do. Followers see them when the
/// call returns; the file receives them in larger pieces, at the latest when the log is closed or
/// [flushed](Self::flush). `Ok` therefore means that readers will receive the bytes, not that they are on
/// disk: as with any buffered writer, a full disk is reported by a later call, at the latest by `close`.
/// All following calls fail too.
///
/// # Blocking and async use
///
/// [`write_all`](Self::write_all) copies to memory and never waits for readers, so async code may call it.
/// It blocks only while 4 MiB are pending. Within a tokio runtime, the file is written on blocking threads;
/// otherwise by the thread whose write reaches the flush threshold of 64 KiB.
///
/// For output faster than the disk, use [`AsyncWrite`], which waits asynchronously. A call accepts up to
/// 64 KiB atomically. Dropping a future between calls, such as that of `tokio::io::copy`, loses no accepted
/// bytes.
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
        self.owner.shared.append(bytes, Placement::Anywhere)
    }

    /// Appends bytes contiguously at the start of a line. If the last line is unfinished, a line feed is
    /// inserted before them.
    ///
    /// The prefix of a worker line thus always starts a line, whatever a process has printed before.
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
        self.owner.shared.append(bytes, Placement::NewLine)
    }

    /// Like [`write_on_new_line`](Self::write_on_new_line), but does not wait for the file while 4 MiB are
    /// pending.
    ///
    /// Use it for short lines from async code, whose thread a slow or hanging disk must not block. Each call
    /// may exceed the limit of pending bytes. A call of 64 KiB or more waits like `write_on_new_line`.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    pub fn push_on_new_line(&self, bytes: &[u8]) -> Result<(), WriteLogError> {
        self.owner.shared.append_line(bytes)
    }

    /// Appends formatted text contiguously, so that `write!(writer, ..)` is atomic.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    pub fn write_fmt(&self, text: fmt::Arguments<'_>) -> Result<(), WriteLogError> {
        match text.as_str() {
            // A text without arguments needs no copy. Others are formatted first: writing them part by part would not
            // be contiguous.
            Some(text) => self.write_all(text.as_bytes()),
            None => self.write_all(text.to_string().as_bytes()),
        }
    }

    /// Writes all bytes accepted so far to the file. Blocks on the disk.
    ///
    /// Readers do not need it. Use it for programs that read the file directly, and to limit the loss if the
    /// process crashes. It does not sync the disk (`fsync`).
    ///
    /// # Errors
    ///
    /// If a write to the file failed. On a closed log, it has no effect and succeeds.
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

    /// Has no effect: a writer buffers nothing itself.
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
    /// Waits asynchronously while too many bytes are pending. Accepts up to 64 KiB.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        sink::poll_write(&mut *self, cx, bytes, MAX_POLL_WRITE)
    }

    /// Starts a flush without waiting for it. Readers already receive the bytes without it. A copy flushes
    /// whenever its source is idle, and waiting for the disk each time would slow the copy down.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.owner.shared.start_flush();
        Poll::Ready(Ok(()))
    }

    /// Starts a flush, without closing the log: other writers may use it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
