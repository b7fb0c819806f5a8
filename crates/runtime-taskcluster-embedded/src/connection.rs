//! TCP connections that an injected fault can reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The error of a connection that an injected fault has reset.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connection reset by an injected fault")]
pub(crate) struct InjectedReset;

impl From<InjectedReset> for io::Error {
    fn from(reset: InjectedReset) -> Self {
        io::Error::new(io::ErrorKind::ConnectionReset, reset)
    }
}

/// A flag that makes a connection close with a TCP reset when it is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResetFlag(Arc<AtomicBool>);

impl ResetFlag {
    /// Sets the flag. The caller returns the error to hyper, which then drops the connection.
    pub(crate) fn set(&self) -> InjectedReset {
        self.0.store(true, Ordering::Release);
        InjectedReset
    }
}

/// A TCP connection with a [`ResetFlag`].
#[derive(Debug)]
pub(crate) struct ResettableStream {
    pub(crate) stream: TcpStream,
    pub(crate) reset: ResetFlag,
}

impl Drop for ResettableStream {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Acquire) {
            // With a linger time of zero, close sends RST instead of FIN. If the option cannot be
            // set, the client sees an early end of the response, which is a failure as well.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for ResettableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ResettableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
