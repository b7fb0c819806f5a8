//! Writes to a followed log.

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
use crate::chunks::CHUNK;

/// The most that one call of [`AsyncWrite::poll_write`] takes, which has to fit in one chunk.
const MOST_AT_ONCE: usize = CHUNK - 1;

/// Appends to a [`FollowedLog`](super::FollowedLog). Clones append to the same log, from any thread.
///
/// What one call appends stays together, whatever others write at the same time. Followers see it when the
/// call returns; the file gets it in larger pieces, at the latest when the log is closed or
/// [flushed](Self::flush). So `Ok` means that readers will get the bytes, and, like with any buffered
/// writer, a full disk shows on a later call, on `close` at the latest. From then on every call fails.
///
/// # From synchronous and from async code
///
/// A call of [`write_all`](Self::write_all) is a copy to memory: it never waits for a reader, so it may be
/// called from async code. It waits only while 4 MiB are pending that the disk has not taken yet. Inside a
/// tokio runtime the file is written by the runtime's threads for blocking work, elsewhere by the thread
/// whose call made a write worthwhile.
///
/// For output that may come faster than the disk takes it, write from async code through [`AsyncWrite`],
/// which waits as a task. One such call takes up to 64 KiB and is atomic; dropping a future between two
/// calls, such as that of `tokio::io::copy`, loses nothing that was accepted.
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

    /// Appends bytes as one piece that nothing else comes between.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), WriteLogError> {
        self.owner.core.append(bytes, Start::Anywhere)
    }

    /// Appends bytes as one piece at the start of a line: where what was appended last is no whole line, a
    /// line feed goes before them.
    ///
    /// So a line of the worker's own can be told by its beginning, whatever a process left unfinished.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
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
        self.owner.core.append(bytes, Start::OfLine)
    }

    /// Appends formatted text as one piece, so that `write!(writer, ..)` is atomic.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
    pub fn write_fmt(&self, text: fmt::Arguments<'_>) -> Result<(), WriteLogError> {
        match text.as_str() {
            Some(text) => self.write_all(text.as_bytes()),
            None => self.write_all(text.to_string().as_bytes()),
        }
    }

    /// Moves everything that was written so far to the file, and waits for that.
    ///
    /// Readers do not need it. It is for who reads the file by other means, and bounds what a crash of
    /// the whole process can cost. It does not wait for the disk itself (`fsync`).
    ///
    /// # Errors
    ///
    /// If the file takes no more. A closed log is flushed already, so that this succeeds.
    pub fn flush(&self) -> Result<(), WriteLogError> {
        self.owner.core.flush()
    }
}

impl LogSink for LogWriter {
    fn wait_for_room(&mut self) {
        self.owner.core.block_until_room();
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.owner.core.poll_room(&mut self.waiting, cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        self.owner.core.append_unbounded(bytes)
    }

    fn start_flush(&mut self) {
        self.owner.core.start_flush();
    }

    /// Does nothing, since a writer holds nothing back.
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
            .field("path", &self.owner.core.path)
            .finish_non_exhaustive()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            self.owner.core.forget_writer(key);
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
    /// Waits as a task while too much is pending.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        sink::poll_write(&mut *self, cx, bytes, MOST_AT_ONCE)
    }

    /// Has the file written soon and does not wait for it, since readers see the bytes already, and what
    /// copies to a log flushes whenever its source pauses.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.owner.core.start_flush();
        Poll::Ready(Ok(()))
    }

    /// Does the same as `poll_flush`: the log stays open, since others may write to it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
