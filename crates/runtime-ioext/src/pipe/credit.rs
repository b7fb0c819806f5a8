//! A pipe whose writer goes on only as far as a third party allows.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::chunks::{CHUNK, Chunks};
use crate::sys::Mutex;

/// The writer waits for the reader when so much is unread, whatever its credit.
const UNREAD: usize = CHUNK;

/// Makes a pipe whose writer needs credit: without any, it waits.
///
/// Each byte that is written uses up one of what [`Credit::grant`] gave. This is how a flow-controlled
/// protocol sends: the far side says how much it takes, and the near side's producer waits meanwhile.
///
/// # Example
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (mut writer, mut reader, credit) = runtime_ioext::credit_pipe();
/// credit.grant(3);
/// assert_eq!(writer.write(b"hello").await?, 3);
/// let mut bytes = [0; 3];
/// reader.read_exact(&mut bytes).await?;
/// assert_eq!(&bytes, b"hel");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn credit_pipe() -> (CreditWriter, CreditReader, Credit) {
    let state = State {
        unread: Chunks::new(CHUNK),
        credit: Some(0),
        no_more_credit: false,
        ended: false,
        dropped: false,
        reader: None,
        writer: None,
    };
    let state = Arc::new(Mutex::new(state));
    let lender = Arc::new(Lender {
        state: Arc::clone(&state),
    });
    (
        CreditWriter {
            state: Arc::clone(&state),
        },
        CreditReader { state },
        Credit { lender },
    )
}

struct State {
    unread: Chunks,
    /// How many bytes may still be written; `None` for any number.
    credit: Option<u64>,
    /// Nobody is left to give credit.
    no_more_credit: bool,
    /// The writer is gone or shut down.
    ended: bool,
    /// The reader is gone.
    dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    /// How many bytes can be written now.
    fn room(&self) -> usize {
        let credit = self.credit.map_or(usize::MAX, |credit| {
            usize::try_from(credit).unwrap_or(usize::MAX)
        });
        credit.min(UNREAD.saturating_sub(self.unread.len()))
    }

    fn push(&mut self, bytes: &[u8]) {
        self.unread.push(bytes);
        self.credit = self.credit.map(|credit| credit - bytes.len() as u64);
    }
}

/// Gives credit to the writer of a [`credit_pipe`]. Clones give to the same one.
///
/// When the last clone is dropped, the writer uses up what it has, and then fails instead of waiting for
/// ever.
#[derive(Clone)]
pub struct Credit {
    lender: Arc<Lender>,
}

struct Lender {
    state: Arc<Mutex<State>>,
}

impl Credit {
    /// Lets the writer write `n` more bytes.
    pub fn grant(&self, n: u64) {
        self.lender
            .change(|state| state.credit = state.credit.map(|credit| credit.saturating_add(n)));
    }

    /// Lets the writer write as much as it likes, from now on. It still waits for the reader.
    pub fn unblock_forever(&self) {
        self.lender.change(|state| state.credit = None);
    }
}

impl Lender {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        self.change(|state| state.no_more_credit = true);
    }
}

/// The writing end of a [`credit_pipe`]. Dropping it ends the pipe.
pub struct CreditWriter {
    state: Arc<Mutex<State>>,
}

impl CreditWriter {
    fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
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
        if state.dropped || state.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = bytes.len().min(state.room());
        if len == 0 && !bytes.is_empty() {
            if state.no_more_credit && state.credit == Some(0) {
                let error = "nobody is left to give credit to the writer of this pipe";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, error)));
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
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for CreditWriter {
    fn drop(&mut self) {
        self.end();
    }
}

/// The reading end of a [`credit_pipe`]. Dropping it fails later writes.
pub struct CreditReader {
    state: Arc<Mutex<State>>,
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
            if state.ended {
                return Poll::Ready(Ok(()));
            }
            let replaced = state.reader.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        let start = state.unread.start();
        let mut bytes = state.unread.read(start);
        bytes.truncate(buf.remaining());
        state.unread.advance(start + bytes.len() as u64);
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
        let mut state = self.state.lock();
        state.dropped = true;
        let unread = std::mem::replace(&mut state.unread, Chunks::new(CHUNK));
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        drop((unread, reader));
        writer.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credit = self.lender.state.lock().credit;
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
