//! A pipe whose writer never waits: it fails when too much is unread.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

use crate::chunks::{CHUNK, Chunks};
use crate::sys::Mutex;

/// Writes from this size on are kept as they are; smaller ones are gathered.
const LARGE: usize = CHUNK / 4;

/// Shared bytes of less than this are copied, since to keep them apart would take more memory than they do.
const WORTH_SHARING: usize = 512;

/// Makes a pipe that holds up to `capacity` unread bytes.
///
/// The writer never waits: a write that does not fit fails as a whole. A [`PipeStats`] tells how much was read,
/// for a protocol that lets its sender go on as far as the receiver has read. Reading costs the same however
/// much is unread.
///
/// # Example
///
/// ```
/// use runtime_ioext::{BoundedWriteError, bounded_pipe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (writer, mut reader) = bounded_pipe(8);
/// let mut tally = writer.tally();
/// writer.write_all(b"hello")?;
/// assert!(matches!(writer.write_all(b"world"), Err(BoundedWriteError::Full { unread: 5, .. })));
///
/// assert_eq!(reader.next_chunk().await.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(tally.next().await, Some(5));
/// writer.write_all(b"world")?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn bounded_pipe(capacity: usize) -> (BoundedWriter, BoundedReader) {
    let state = State {
        unread: Chunks::new(CHUNK),
        ended: false,
        dropped: false,
        reader: None,
    };
    let shared = Arc::new(Shared {
        capacity,
        state: Mutex::new(state),
    });
    let (read, tally) = watch::channel(0);
    (
        BoundedWriter {
            shared: Arc::clone(&shared),
            tally,
        },
        BoundedReader { shared, read },
    )
}

struct Shared {
    capacity: usize,
    state: Mutex<State>,
}

struct State {
    unread: Chunks,
    /// The writer is gone.
    ended: bool,
    /// The reader is gone.
    dropped: bool,
    reader: Option<Waker>,
}

/// The writing end of a [`bounded_pipe`]. Dropping it ends the pipe: the reader gets what is unread, then
/// the end.
pub struct BoundedWriter {
    shared: Arc<Shared>,
    tally: watch::Receiver<u64>,
}

/// Why a bounded pipe took nothing of a write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedWriteError {
    /// Too much is unread.
    #[error(
        "cannot write {len} bytes to a pipe of {capacity} bytes, of which {unread} are unread; wait until more is read"
    )]
    Full {
        /// The size of the write.
        len: usize,
        /// How much the pipe holds.
        capacity: usize,
        /// How much it holds now.
        unread: usize,
    },
    /// The reader was dropped.
    #[error("cannot write to a pipe that nobody reads any more")]
    Closed,
}

impl From<BoundedWriteError> for io::Error {
    fn from(error: BoundedWriteError) -> Self {
        let kind = match error {
            BoundedWriteError::Full { .. } => io::ErrorKind::WouldBlock,
            BoundedWriteError::Closed => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

impl BoundedWriter {
    /// Writes all bytes or none, at once.
    ///
    /// # Errors
    ///
    /// If they do not fit beside what is unread, or if the reader was dropped.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), BoundedWriteError> {
        match bytes.len() < LARGE {
            true => self.append(bytes.len(), |unread| unread.push(bytes)),
            false => {
                self.append(bytes.len(), |_| ())?;
                self.write_bytes(Bytes::copy_from_slice(bytes))
            }
        }
    }

    /// Writes all bytes or none, at once and without copying them, unless they are few.
    ///
    /// # Errors
    ///
    /// If they do not fit beside what is unread, or if the reader was dropped.
    pub fn write_bytes(&self, bytes: Bytes) -> Result<(), BoundedWriteError> {
        self.append(bytes.len(), |unread| match bytes.len() < WORTH_SHARING {
            true => unread.push(&bytes),
            false => unread.push_shared(bytes),
        })
    }

    /// How many bytes are unread.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.shared.state.lock().unread.len()
    }

    /// A tally of what is read from now on.
    #[must_use]
    pub fn tally(&self) -> PipeStats {
        let total = self.tally.clone();
        let told = *total.borrow();
        PipeStats { total, told }
    }

    /// Ends the pipe; the same as dropping the writer, with a name that says so.
    pub fn close(self) {}

    fn append(&self, len: usize, push: impl FnOnce(&mut Chunks)) -> Result<(), BoundedWriteError> {
        let capacity = self.shared.capacity;
        let mut state = self.shared.state.lock();
        if state.dropped {
            return Err(BoundedWriteError::Closed);
        }
        let unread = state.unread.len();
        if len > capacity - unread {
            return Err(BoundedWriteError::Full {
                len,
                capacity,
                unread,
            });
        }
        push(&mut state.unread);
        let reader = if state.unread.is_empty() {
            None
        } else {
            state.reader.take()
        };
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Drop for BoundedWriter {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.ended = true;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

/// The reading end of a [`bounded_pipe`]. Dropping it throws away what is unread, and fails later writes.
pub struct BoundedReader {
    shared: Arc<Shared>,
    read: watch::Sender<u64>,
}

impl BoundedReader {
    /// Waits for bytes, and gives a piece of them as it lies in memory; `None` after the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: if the future is dropped, the next call gives the same bytes.
    pub async fn next_chunk(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_chunk(cx, usize::MAX)).await
    }

    /// Takes up to `most` bytes off the front.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Bytes>> {
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let chunk = ready!(self.poll_front(cx, most));
        coop.made_progress();
        Poll::Ready(chunk)
    }

    fn poll_front(&mut self, cx: &Context<'_>, most: usize) -> Poll<Option<Bytes>> {
        let mut state = self.shared.state.lock();
        if state.unread.is_empty() {
            if state.ended {
                return Poll::Ready(None);
            }
            let replaced = state.reader.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        let start = state.unread.start();
        let mut bytes = state.unread.read(start);
        bytes.truncate(most);
        let end = start + bytes.len() as u64;
        state.unread.advance(end);
        drop(state);
        self.read.send_replace(end);
        Poll::Ready(Some(bytes))
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
        let bytes = ready!(self.poll_chunk(cx, buf.remaining()));
        buf.put_slice(&bytes.unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Drop for BoundedReader {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.dropped = true;
        let unread = std::mem::replace(&mut state.unread, Chunks::new(CHUNK));
        let reader = state.reader.take();
        drop(state);
        drop((unread, reader));
    }
}

/// Tells how much of a [`bounded_pipe`] was read. Made by [`BoundedWriter::tally`].
#[derive(Clone, Debug)]
pub struct PipeStats {
    total: watch::Receiver<u64>,
    told: u64,
}

impl PipeStats {
    /// Waits until something was read, and gives how many bytes were since the last call; `None` when the
    /// reader is gone and everything was told.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what a dropped future did not tell, the next one does.
    pub async fn next(&mut self) -> Option<u64> {
        let told = self.told;
        let total = *self.total.wait_for(|&total| total > told).await.ok()?;
        self.told = total;
        Some(total - told)
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
