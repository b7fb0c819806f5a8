//! A pipe whose writer never waits: a write fails if too many bytes are unread.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;

use super::error::{PipeReadError, PipeWriteError};
use crate::segments::{SEGMENT_SIZE, Segments};
use crate::sys::{Guard, Mutex};

/// Writes of at least this size become a segment; smaller ones are copied into a shared buffer.
const MIN_OWN_SEGMENT: usize = SEGMENT_SIZE / 4;

/// Shared bytes shorter than this are copied, because a separate segment would need more memory.
const MIN_SHARED: usize = 512;

/// Creates a pipe with a capacity in bytes whose writer never waits.
///
/// A write that does not fit fails as a whole. [`PipeStats`] reports the number of bytes read, for protocols
/// in which the receiver's reads grant credit to the sender. The cost of a read does not depend on the
/// number of unread bytes. The [module](super) lists how each half ends.
///
/// # Example
///
/// ```
/// use runtime_ioext::pipe::{PipeReadError, PipeWriteError, bounded_pipe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (writer, mut reader) = bounded_pipe(8);
/// let mut stats = writer.stats();
/// writer.write_all(b"hello")?;
/// assert!(matches!(writer.write_all(b"world"), Err(PipeWriteError::Full { unread: 5, .. })));
///
/// assert_eq!(reader.next_chunk().await?.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(stats.next().await, Some(5));
///
/// writer.write_all(b"world")?;
/// writer.close_with_error(std::io::Error::other("the source failed"));
/// assert_eq!(reader.next_chunk().await?.as_deref(), Some(&b"world"[..]));
/// let error = reader.next_chunk().await.unwrap_err();
/// assert!(matches!(error, PipeReadError::Failed { source } if source.to_string() == "the source failed"));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn bounded_pipe(capacity: usize) -> (BoundedWriter, BoundedReader) {
    let state = BoundedState {
        unread: Segments::new(SEGMENT_SIZE),
        writer_end: None,
        reader_end: None,
        reader: None,
        read: 0,
        has_read_all: false,
        is_counted: false,
    };
    let shared = Arc::new(BoundedPipe {
        capacity,
        state: Mutex::new(state),
        was_read: Notify::new(),
    });
    let writer = BoundedWriter {
        shared: Arc::clone(&shared),
    };
    (writer, BoundedReader { shared })
}

struct BoundedPipe {
    capacity: usize,
    state: Mutex<BoundedState>,
    /// Notified of each read and of the end of reading, if a [`PipeStats`] waits.
    was_read: Notify,
}

struct BoundedState {
    unread: Segments,
    /// How the writer ended: what the reader returns after the unread bytes.
    writer_end: Option<Result<(), PipeReadError>>,
    /// How the reader ended: the error of all writes.
    reader_end: Option<PipeWriteError>,
    reader: Option<Waker>,
    /// The number of bytes read.
    read: u64,
    /// The reader has returned the end or an error, or was dropped.
    has_read_all: bool,
    /// Whether a [`PipeStats`] may be waiting. Without this flag, each read would notify, which takes as long as the
    /// read of a short line.
    is_counted: bool,
}

impl BoundedPipe {
    /// Unlocks the state after a change of the counter, and wakes the [`PipeStats`] that wait for it.
    fn notify_read(&self, mut state: Guard<'_, BoundedState>) {
        let is_counted = std::mem::take(&mut state.is_counted);
        drop(state);
        if is_counted {
            self.was_read.notify_waiters();
        }
    }
}

/// The writing half of a [`bounded_pipe`].
///
/// Call [`close`](Self::close) after the last write. If it is dropped instead, the reader returns
/// [`PipeReadError::WriterDropped`] after the unread bytes.
pub struct BoundedWriter {
    shared: Arc<BoundedPipe>,
}

impl BoundedWriter {
    /// Writes all bytes or none, without waiting.
    ///
    /// # Errors
    ///
    /// If the bytes do not fit, or if the reader was dropped or closed.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), PipeWriteError> {
        if bytes.len() < MIN_OWN_SEGMENT {
            return self.append(bytes.len(), |unread| unread.push(bytes));
        }
        // Checked first, so that a write that does not fit is not copied. The second check covers writes by
        // other threads in between.
        self.append(bytes.len(), |_| ())?;
        self.write_bytes(Bytes::copy_from_slice(bytes))
    }

    /// Writes all bytes or none, without waiting. A buffer of at least 512 bytes is shared instead of copied.
    ///
    /// # Errors
    ///
    /// If the bytes do not fit, or if the reader was dropped or closed.
    pub fn write_bytes(&self, bytes: Bytes) -> Result<(), PipeWriteError> {
        self.append(bytes.len(), |unread| {
            if bytes.len() < MIN_SHARED {
                unread.push(&bytes);
            } else {
                unread.push_shared(bytes);
            }
        })
    }

    /// Returns the number of unread bytes.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.shared.state.lock().unread.len()
    }

    /// Returns a counter of the bytes that are read after this call.
    #[must_use]
    pub fn stats(&self) -> PipeStats {
        PipeStats {
            reported: self.shared.state.lock().read,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Ends the pipe cleanly: the reader returns the unread bytes, then the end.
    pub fn close(self) {
        self.end(Ok(()));
    }

    /// Ends the pipe with an error: the reader returns the unread bytes, then [`PipeReadError::Failed`].
    pub fn close_with_error(self, error: io::Error) {
        let source = Arc::new(error);
        self.end(Err(PipeReadError::Failed { source }));
    }

    fn end(&self, end: Result<(), PipeReadError>) {
        let mut state = self.shared.state.lock();
        // The first end counts: `close` is followed by the drop.
        if state.writer_end.is_none() {
            state.writer_end = Some(end);
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    fn append(&self, len: usize, push: impl FnOnce(&mut Segments)) -> Result<(), PipeWriteError> {
        let capacity = self.shared.capacity;
        let mut state = self.shared.state.lock();
        if let Some(error) = &state.reader_end {
            return Err(error.clone());
        }
        let unread = state.unread.len();
        // Compared by subtraction, which cannot overflow: `unread` never exceeds `capacity`.
        if len > capacity - unread {
            return Err(PipeWriteError::Full {
                len,
                capacity,
                unread,
            });
        }
        push(&mut state.unread);
        // Not for an empty write: the reader would find nothing.
        let reader = if state.unread.is_empty() {
            None
        } else {
            state.reader.take()
        };
        // A waker is arbitrary code, which may drop the other half of the pipe: call it after unlocking.
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Drop for BoundedWriter {
    fn drop(&mut self) {
        self.end(Err(PipeReadError::WriterDropped));
    }
}

/// The reading half of a [`bounded_pipe`]. Dropping it discards unread bytes and fails later writes.
pub struct BoundedReader {
    shared: Arc<BoundedPipe>,
}

impl BoundedReader {
    /// Returns the next bytes without copying them; `None` after the writer was closed.
    ///
    /// # Errors
    ///
    /// If the writer was dropped or closed with an error, after all unread bytes.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns the same bytes.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, PipeReadError> {
        let take = |unread: &mut Segments| {
            let chunk = unread.pop(usize::MAX);
            let len = chunk.len();
            (chunk, len)
        };
        std::future::poll_fn(|cx| self.poll_take(cx, take)).await
    }

    /// Discards unread bytes and fails later writes with [`PipeWriteError::Failed`].
    pub fn close_with_error(self, error: io::Error) {
        let source = Arc::new(error);
        self.end(PipeWriteError::Failed { source });
    }

    /// Lets `take` remove unread bytes, and returns its result and their number; `None` at the end.
    fn poll_take<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Segments) -> (T, usize),
    ) -> Poll<Result<Option<T>, PipeReadError>> {
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let mut state = self.shared.state.lock();
        if state.unread.is_empty() {
            if let Some(end) = state.writer_end.clone() {
                coop.made_progress();
                // No read follows the end, so the counter ends here too.
                state.has_read_all = true;
                self.shared.notify_read(state);
                return Poll::Ready(end.map(|()| None));
            }
            // Under the lock of the check, so that a write in between is not missed.
            let replaced = state.reader.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        coop.made_progress();
        let (taken, len) = take(&mut state.unread);
        state.read += len as u64;
        self.shared.notify_read(state);
        Poll::Ready(Ok(Some(taken)))
    }

    fn end(&self, end: PipeWriteError) {
        let mut state = self.shared.state.lock();
        // The first end counts: `close_with_error` is followed by the drop.
        if state.reader_end.is_none() {
            state.reader_end = Some(end);
        }
        let unread = std::mem::replace(&mut state.unread, Segments::new(SEGMENT_SIZE));
        // Freed after unlocking, like all wakers.
        let reader = state.reader.take();
        state.has_read_all = true;
        self.shared.notify_read(state);
        drop((unread, reader));
    }
}

impl AsyncRead for BoundedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let take = |unread: &mut Segments| {
            let copied = unread.copy_out(buf.initialize_unfilled());
            (copied, copied)
        };
        let copied = ready!(self.poll_take(cx, take))?;
        buf.advance(copied.unwrap_or(0));
        Poll::Ready(Ok(()))
    }
}

impl Drop for BoundedReader {
    fn drop(&mut self) {
        self.end(PipeWriteError::ReaderDropped);
    }
}

/// Counts the bytes read from a [`bounded_pipe`]. Created by [`BoundedWriter::stats`].
#[derive(Clone)]
pub struct PipeStats {
    shared: Arc<BoundedPipe>,
    reported: u64,
}

impl PipeStats {
    /// Waits for a read and returns the number of bytes read since the last call. Returns `None` after all
    /// reads were returned and the reader has returned the end or an error, or was dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe: bytes not returned by a dropped future are returned by the next call.
    pub async fn next(&mut self) -> Option<u64> {
        loop {
            let shared = Arc::clone(&self.shared);
            let mut was_read = pin!(shared.was_read.notified());
            // Before the check: a read in between would be missed.
            was_read.as_mut().enable();
            if let Poll::Ready(new) = self.take_new() {
                return new;
            }
            was_read.await;
        }
    }

    /// Returns the result of [`next`](Self::next), if there is one yet.
    fn take_new(&mut self) -> Poll<Option<u64>> {
        let mut state = self.shared.state.lock();
        let new = state.read - self.reported;
        self.reported = state.read;
        if new > 0 {
            return Poll::Ready(Some(new));
        }
        if state.has_read_all {
            return Poll::Ready(None);
        }
        state.is_counted = true;
        Poll::Pending
    }
}

impl fmt::Debug for PipeStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeStats")
            .field("reported", &self.reported)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BoundedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (capacity, unread) = (self.shared.capacity, self.unread());
        f.debug_struct("BoundedWriter")
            .field("capacity", &capacity)
            .field("unread", &unread)
            .finish()
    }
}

impl fmt::Debug for BoundedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.shared.state.lock().unread.len();
        f.debug_struct("BoundedReader")
            .field("unread", &unread)
            .finish_non_exhaustive()
    }
}
