//! A connection's socket, with what ends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Origin;
use super::connections::Place;
use super::stall::Stall;
use crate::cut::{By, Cut};

/// What hyper says to a client that waits with its body until it is asked for it.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How long a client may go on to send a body that nobody wants after its answer.
const LINGER: Duration = Duration::from_secs(2);

/// So much of it is read before other tasks get their turn.
const BATCH: usize = 32;

/// A socket that fails once its connection is cut, or once its peer takes nothing for too long.
///
/// It holds the connection's place among those that are open, and keeps it through an upgrade.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    inner: S,
    place: Place,
    stall: Stall,
    linger: Stall,
    /// Whether [`CONTINUE`] is dropped, if it comes before anything else.
    hides_continue: bool,
}

impl<S> Socket<S> {
    pub(crate) fn new(inner: S, place: Place, write_timeout: Duration, origin: Origin) -> Self {
        Self {
            hides_continue: hides_continue(origin),
            inner,
            place,
            stall: Stall::new(write_timeout),
            linger: Stall::new(LINGER),
        }
    }

    pub(crate) fn connection(&self) -> &Arc<Cut> {
        self.place.connection()
    }

    fn check(&self) -> io::Result<()> {
        match self.connection().is_cut() {
            true => Err(cut_error()),
            false => Ok(()),
        }
    }

    /// How much of the first bytes is to be dropped; hyper writes a head in one piece.
    fn hidden(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_hidden = std::mem::take(&mut self.hides_continue) && bytes.starts_with(CONTINUE);
        is_hidden.then_some(CONTINUE.len())
    }

    /// Waits on behalf of a read or a write that has to.
    fn poll_end(&mut self, by: By, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.connection().poll_cut(by, cx).is_ready() {
            return Poll::Ready(cut_error());
        }
        match by {
            By::Writer => self.stall.poll(cx).map(|()| {
                let message = format!("the client took no byte for {:?}", self.stall.timeout());
                io::Error::new(io::ErrorKind::TimedOut, message)
            }),
            By::Reader | By::Driver => Poll::Pending,
        }
    }

    /// Turns the result of a write into what the caller sees.
    fn after_write<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(result) => {
                self.stall.clear();
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_end(By::Writer, cx).map(Err),
        }
    }
}

fn hides_continue(origin: Origin) -> bool {
    match origin {
        #[cfg(feature = "websocktunnel")]
        Origin::Websocktunnel => true,
        _ => false,
    }
}

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the hook was detached")
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Takes what the client still sends, until it has heard that nobody wants it, or has had time enough.
    ///
    /// A socket that is closed with something unread is reset, and the client may lose its answer to that.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 8 * 1024];
        for _ in 0..BATCH {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.linger.poll(cx),
            }
        }
        cx.waker().wake_by_ref();
        self.linger.poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_end(By::Reader, cx).map(Err),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        if let Some(len) = self.hidden(buf) {
            return Poll::Ready(Ok(len));
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.after_write(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        if let Some(len) = bufs.first().and_then(|first| self.hidden(first)) {
            return Poll::Ready(Ok(len));
        }
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.after_write(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.after_write(result, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        ready!(self.after_write(result, cx))?;
        match self.connection().is_unread() {
            true => self.poll_linger(cx).map(Ok),
            false => Poll::Ready(Ok(())),
        }
    }
}
