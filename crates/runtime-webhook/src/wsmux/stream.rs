//! A stream as its holder sees it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::Shared;
use super::slot::Slot;
use super::state::State;

/// A stream of bytes in both directions; each can end before the other.
///
/// Reading and writing wait for the peer as they do on a socket. Shutting it down says that nothing more
/// is written. Dropping it does, too, and throws away what still comes: the protocol has no way to
/// tell the peer that the stream was cut.
///
/// After the end of the session, what has arrived can be read; then reads fail with
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset), since nobody knows whether that was all.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
    id: u32,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, id: u32) -> Self {
        Self { shared, id }
    }

    /// The number of the stream within its session.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    fn with<T>(&self, work: impl FnOnce(&mut State, u32) -> T) -> T {
        self.shared.with(|state| work(state, self.id))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|state, id| {
            let has_ended = state.has_ended();
            let slot = slot(state, id)?;
            let receiving = &mut slot.receiving;
            if receiving.overflowed {
                let message = "the peer sent more than it was allowed to";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
            }
            let count = receiving.buffer.pop(buf);
            if count > 0 {
                receiving.consumed += count;
                state.give_credit(id);
                return Poll::Ready(Ok(()));
            }
            if receiving.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if has_ended {
                return Poll::Ready(Err(session_over()));
            }
            receiving.reader = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[buf])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts: [&[u8]; 16] = [&[]; 16];
        for (part, buf) in parts.iter_mut().zip(bufs) {
            *part = buf;
        }
        self.write(cx, &parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is sent without being asked for. After the end of the session reads and writes tell
    /// of it: whoever flushes first may still have something to read.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(State::close_stream);
        Poll::Ready(Ok(()))
    }
}

impl Stream {
    fn write(&self, cx: &Context<'_>, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
        self.with(|state, id| {
            if state.has_ended() {
                return Poll::Ready(Err(session_over()));
            }
            if slot(state, id)?.sending.closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let written = state.write(id, parts);
            if written > 0 || parts.iter().all(|part| part.is_empty()) {
                return Poll::Ready(Ok(written));
            }
            slot(state, id)?.sending.writer = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.with(State::release);
    }
}

fn slot(state: &mut State, id: u32) -> io::Result<&mut Slot> {
    state.streams.get_mut(&id).ok_or_else(session_over)
}

fn session_over() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        "the session of the stream is over",
    )
}
