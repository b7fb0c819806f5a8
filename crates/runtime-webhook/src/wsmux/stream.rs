//! The handle of a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session_state::{SessionState, SharedState};
use super::stream_state::StreamState;

/// The maximum number of slices in a vectored write.
const MAX_SLICES: usize = 16;

/// A bidirectional byte stream. Each direction can end before the other.
///
/// Reads and writes wait for the peer as on a socket. Shutting a stream down ends its outgoing data. Dropping
/// it does the same and discards further incoming data: the protocol cannot abort a stream.
///
/// When the session ends, received data can still be read. Further reads fail with
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset), since the stream may be incomplete.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<SharedState>,
    id: u32,
}

impl Stream {
    pub(super) fn new(shared: Arc<SharedState>, id: u32) -> Self {
        Self { shared, id }
    }

    /// Returns the id of the stream within its session.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    fn with<T>(&self, function: impl FnOnce(&mut SessionState, u32) -> T) -> T {
        self.shared.with(|state| function(state, self.id))
    }

    fn write(&self, cx: &Context<'_>, bufs: &[&[u8]]) -> Poll<io::Result<usize>> {
        self.with(|state, id| {
            if state.has_ended {
                return Poll::Ready(Err(session_closed()));
            }
            if stream_state(state, id)?.send.is_closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            // Under one lock with the registration below. An ACK in between would grant credit
            // without a waker to call.
            let written = state.write(id, bufs);
            if written > 0 || bufs.iter().all(|buf| buf.is_empty()) {
                return Poll::Ready(Ok(written));
            }
            stream_state(state, id)?.send.writer = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|state, id| {
            let has_ended = state.has_ended;
            let recv = &mut stream_state(state, id)?.recv;
            if recv.has_overflowed {
                let message = "the peer exceeded the receive window";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
            }
            // Buffered data comes before the end of the stream and of the session.
            let count = recv.buffer.pop(buf);
            if count > 0 {
                recv.unacknowledged += count;
                state.acknowledge(id);
                return Poll::Ready(Ok(()));
            }
            if recv.has_ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if has_ended {
                return Poll::Ready(Err(session_closed()));
            }
            recv.reader = Some(cx.waker().clone());
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
        let mut slices: [&[u8]; MAX_SLICES] = [&[]; MAX_SLICES];
        for (slice, buf) in slices.iter_mut().zip(bufs) {
            *slice = buf;
        }
        self.write(cx, &slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Returns ready immediately: the driver sends queued data without a flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The end of the session is reported by reads and writes only. hyper flushes before it reads, and an error here
        // would hide a response that has been received.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Does not wait until FIN is sent: the driver sends it even after the handle is dropped.
        self.with(SessionState::close_stream);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.with(SessionState::release);
    }
}

fn stream_state(state: &mut SessionState, id: u32) -> io::Result<&mut StreamState> {
    state.streams.get_mut(&id).ok_or_else(session_closed)
}

fn session_closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "session closed")
}
