//! A pipe whose writer needs credit, granted by a third party.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::{PipeReadError, PipeWriteError};
use crate::segments::{SEGMENT_SIZE, Segments};
use crate::sys::Mutex;

/// Maximum number of unread bytes. It bounds the memory even with unlimited credit.
const MAX_UNREAD: usize = SEGMENT_SIZE;

/// Creates a pipe whose writer waits for credit.
///
/// Each written byte consumes one byte of [granted](Credit::grant) credit. A flow-controlled protocol sends
/// this way: the peer announces its window, and the local producer waits for it. The [module](super) lists how
/// each half ends.
///
/// # Example
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (mut writer, mut reader, credit) = runtime_ioext::pipe::credit_pipe();
/// credit.grant(3);
/// assert_eq!(writer.write(b"hello").await?, 3);
/// writer.shutdown().await?;
///
/// let mut text = String::new();
/// reader.read_to_string(&mut text).await?;
/// assert_eq!(text, "hel");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn credit_pipe() -> (CreditWriter, CreditReader, Credit) {
    let state = CreditState {
        unread: Segments::new(SEGMENT_SIZE),
        credit: Some(0),
        no_more_credit: false,
        writer_end: None,
        reader_end: None,
        reader: None,
        writer: None,
    };
    let state = Arc::new(Mutex::new(state));
    let source = Arc::new(CreditSource {
        state: Arc::clone(&state),
    });
    (
        CreditWriter {
            state: Arc::clone(&state),
        },
        CreditReader { state },
        Credit { source },
    )
}

struct CreditState {
    unread: Segments,
    /// Number of bytes that may be written; `None` for unlimited.
    credit: Option<u64>,
    /// All [`Credit`] handles were dropped.
    no_more_credit: bool,
    /// How the writer ended: what the reader returns after the unread bytes.
    writer_end: Option<Result<(), PipeReadError>>,
    /// How the reader ended: the error of all writes.
    reader_end: Option<PipeWriteError>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl CreditState {
    /// Returns the number of bytes that can be written now.
    fn available(&self) -> usize {
        let credit = self.credit.map_or(usize::MAX, |credit| {
            usize::try_from(credit).unwrap_or(usize::MAX)
        });
        credit.min(MAX_UNREAD.saturating_sub(self.unread.len()))
    }

    fn push(&mut self, bytes: &[u8]) {
        self.unread.push(bytes);
        self.credit = self.credit.map(|credit| credit - bytes.len() as u64);
    }
}

/// Grants credit to the writer of a [`credit_pipe`]. Clones grant to the same writer.
///
/// After the last clone is dropped, the writer can use its remaining credit; then its writes fail with
/// [`PipeWriteError::NoCredit`] instead of waiting forever.
#[derive(Clone)]
pub struct Credit {
    source: Arc<CreditSource>,
}

struct CreditSource {
    state: Arc<Mutex<CreditState>>,
}

impl Credit {
    /// Lets the writer write `n` more bytes. Has no effect on an unlimited pipe.
    pub fn grant(&self, n: u64) {
        self.source
            .change(|state| state.credit = state.credit.map(|credit| credit.saturating_add(n)));
    }

    /// Removes the limit permanently. The writer still waits for the reader.
    pub fn unblock_forever(&self) {
        self.source.change(|state| state.credit = None);
    }
}

impl CreditSource {
    fn change(&self, change: impl FnOnce(&mut CreditState)) {
        let mut state = self.state.lock();
        change(&mut state);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl Drop for CreditSource {
    fn drop(&mut self) {
        self.change(|state| state.no_more_credit = true);
    }
}

/// The writing half of a [`credit_pipe`].
///
/// [Shut it down](tokio::io::AsyncWriteExt::shutdown) after the last write. If it is dropped instead, the reader
/// returns [`PipeReadError::WriterDropped`] after the unread bytes.
pub struct CreditWriter {
    state: Arc<Mutex<CreditState>>,
}

impl CreditWriter {
    /// Ends the pipe with an error: the reader returns the unread bytes, then [`PipeReadError::Failed`]. Has no
    /// effect after a shutdown.
    pub fn close_with_error(self, error: io::Error) {
        let source = Arc::new(error);
        self.end(Err(PipeReadError::Failed { source }));
    }

    fn end(&self, end: Result<(), PipeReadError>) {
        let mut state = self.state.lock();
        // The first end counts: a shutdown is followed by the drop. A later one is freed after unlocking, because
        // the drop of its error is arbitrary code.
        if state.writer_end.is_none() {
            state.writer_end = Some(end);
        }
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        // A poll after the end fails at once, so the writer's own waker has no use.
        drop(writer);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl AsyncWrite for CreditWriter {
    /// Waits for credit and for the reader, and writes as much as both allow.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let mut state = self.state.lock();
        if let Some(error) = &state.reader_end {
            return Poll::Ready(Err(error.clone().into()));
        }
        if state.writer_end.is_some() {
            return Poll::Ready(Err(PipeWriteError::ShutDown.into()));
        }
        let len = bytes.len().min(state.available());
        if len == 0 && !bytes.is_empty() {
            // Nothing can grant more credit: waiting would never end.
            // Only with zero credit: if `unread` is full instead, the reader makes space, and the
            // rest of the credit stays usable.
            if state.no_more_credit && state.credit == Some(0) {
                return Poll::Ready(Err(PipeWriteError::NoCredit.into()));
            }
            let replaced = state.writer.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        state.push(&bytes[..len]);
        let reader = state.reader.take();
        drop(state);
        coop.made_progress();
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end(Ok(()));
        Poll::Ready(Ok(()))
    }
}

impl Drop for CreditWriter {
    fn drop(&mut self) {
        self.end(Err(PipeReadError::WriterDropped));
    }
}

/// The reading half of a [`credit_pipe`]. Dropping it fails later writes.
pub struct CreditReader {
    state: Arc<Mutex<CreditState>>,
}

impl CreditReader {
    /// Discards unread bytes and fails later writes with [`PipeWriteError::Failed`].
    pub fn close_with_error(self, error: io::Error) {
        let source = Arc::new(error);
        self.end(PipeWriteError::Failed { source });
    }

    fn end(&self, end: PipeWriteError) {
        let mut state = self.state.lock();
        // The first end counts: `close_with_error` is followed by the drop.
        if state.reader_end.is_none() {
            state.reader_end = Some(end);
        }
        let unread = std::mem::replace(&mut state.unread, Segments::new(SEGMENT_SIZE));
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        drop((unread, reader));
        writer.into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for CreditReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let mut state = self.state.lock();
        if state.unread.is_empty() {
            if let Some(end) = &state.writer_end {
                return Poll::Ready(end.clone().map_err(io::Error::from));
            }
            let replaced = state.reader.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        // Shared and copied into `buf` after unlocking, so that the writer need not wait for the
        // copy.
        let bytes = state.unread.pop(buf.remaining());
        let writer = state.writer.take();
        drop(state);
        coop.made_progress();
        writer.into_iter().for_each(Waker::wake);
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl Drop for CreditReader {
    fn drop(&mut self) {
        self.end(PipeWriteError::ReaderDropped);
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credit = self.source.state.lock().credit;
        f.debug_struct("Credit").field("credit", &credit).finish()
    }
}

impl fmt::Debug for CreditWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (credit, unread) = {
            let state = self.state.lock();
            (state.credit, state.unread.len())
        };
        f.debug_struct("CreditWriter")
            .field("credit", &credit)
            .field("unread", &unread)
            .finish()
    }
}

impl fmt::Debug for CreditReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.state.lock().unread.len();
        f.debug_struct("CreditReader")
            .field("unread", &unread)
            .finish()
    }
}
