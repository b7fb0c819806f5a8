//! The byte stream of a connection, with abort, write timeout and lingering close.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::ConnectionPermit;
use super::progress_timeout::ProgressTimeout;
use crate::connection::{AbortListener, ConnectionHandle, WakeSlot};

/// The interim response that hyper sends for `Expect: 100-continue`.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The maximum duration of a lingering close.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum number of reads per poll of a lingering close, so that other tasks get their turn.
const READS_PER_POLL: usize = 32;

/// A byte stream that fails once its connection is aborted or its peer accepts no data for too long.
///
/// It holds the permit of the connection, also through an upgrade.
#[derive(Debug)]
pub(super) struct Socket<S> {
    inner: S,
    permit: ConnectionPermit,
    read_abort: AbortListener,
    write_abort: AbortListener,
    write_timeout: ProgressTimeout,
    linger_timeout: ProgressTimeout,
    /// Whether [`CONTINUE`] is suppressed; cleared by the first write.
    hides_continue: bool,
}

impl<S> Socket<S> {
    pub(super) fn new(
        inner: S,
        permit: ConnectionPermit,
        write_timeout: Duration,
        hides_continue: bool,
    ) -> Self {
        Self {
            inner,
            permit,
            read_abort: AbortListener::new(WakeSlot::Reader),
            write_abort: AbortListener::new(WakeSlot::Writer),
            write_timeout: ProgressTimeout::new(write_timeout),
            linger_timeout: ProgressTimeout::new(LINGER_TIMEOUT),
            hides_continue,
        }
    }

    pub(super) fn handle(&self) -> &Arc<ConnectionHandle> {
        &self.permit.handle
    }

    fn check_aborted(&self) -> io::Result<()> {
        if self.handle().is_aborted() {
            Err(aborted())
        } else {
            Ok(())
        }
    }

    /// Returns the number of bytes to drop from the front of a write.
    ///
    /// hyper writes a response head in one call, so the interim response is never split.
    fn hidden_len(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_hidden = std::mem::take(&mut self.hides_continue) && bytes.starts_with(CONTINUE);
        is_hidden.then_some(CONTINUE.len())
    }

    /// Resets the write timeout after progress, or polls it and the abort flag while a write is pending.
    fn after_write<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_timeout.reset();
            return result;
        }
        if self.write_abort.poll(&self.permit.handle, cx).is_ready() {
            return Poll::Ready(Err(aborted()));
        }
        let error = self
            .write_timeout
            .poll_error("no data accepted by the client", cx);
        error.map(Err)
    }
}

fn aborted() -> io::Error {
    let message = "the hook was detached or the server stopped";
    io::Error::new(io::ErrorKind::ConnectionAborted, message)
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Reads and discards data until the client closes the connection, for at most [`LINGER_TIMEOUT`].
    ///
    /// nginx calls this a lingering close.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // FIN has been sent. If the socket were closed with data in its receive buffer, the kernel would send RST as
        // well. RST makes the client's kernel discard received data, so a client that is still sending its request
        // could lose the response.
        let mut bytes = [0; 8 * 1024];
        for _ in 0..READS_PER_POLL {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.linger_timeout.poll(cx),
            }
        }
        // A fast client always has more data. The timeout also limits the total duration: it is never reset.
        cx.waker().wake_by_ref();
        self.linger_timeout.poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before the read: a read that always finds data never waits, and so never polls the flag below.
        self.check_aborted()?;
        if let Poll::Ready(result) = Pin::new(&mut self.inner).poll_read(cx, buf) {
            return Poll::Ready(result);
        }
        let socket = &mut *self;
        let aborting = socket.read_abort.poll(&socket.permit.handle, cx);
        aborting.map(|()| Err(aborted()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_aborted()?;
        if let Some(len) = self.hidden_len(buf) {
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
        self.check_aborted()?;
        if let Some(len) = bufs.first().and_then(|first| self.hidden_len(first)) {
            return Poll::Ready(Ok(len));
        }
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.after_write(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_aborted()?;
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.after_write(result, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The write half first: FIN marks the end of the response for the client, which then stops sending.
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        ready!(self.after_write(result, cx))?;
        if self.handle().has_unread_body() {
            self.poll_linger(cx).map(Ok)
        } else {
            Poll::Ready(Ok(()))
        }
    }
}
