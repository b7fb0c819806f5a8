//! A connection's socket, with what ends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connections::Place;
use crate::cut::{By, Cut};

/// A socket that fails once its connection is cut, or once its peer takes nothing for too long.
///
/// It holds the connection's place among those that are open, and keeps it through an upgrade.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    inner: S,
    place: Place,
    stall: Stall,
}

impl<S> Socket<S> {
    pub(crate) fn new(inner: S, place: Place, write_timeout: Duration) -> Self {
        Self {
            inner,
            place,
            stall: Stall::new(write_timeout),
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

    /// Waits on behalf of a read or a write that has to.
    fn poll_end(&mut self, by: By, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.connection().poll_cut(by, cx).is_ready() {
            return Poll::Ready(cut_error());
        }
        match by {
            By::Writer => self.stall.poll(cx),
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

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the hook was detached")
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.after_write(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
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
        self.after_write(result, cx)
    }
}

/// How long a write has been waiting.
#[derive(Debug)]
struct Stall {
    timeout: Duration,
    /// Made when the first write has to wait, which most connections never do.
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Stall {
    fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            timer: None,
            is_running: false,
        }
    }

    fn clear(&mut self) {
        self.is_running = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if !self.is_running {
            timer.as_mut().reset(Instant::now() + timeout);
            self.is_running = true;
        }
        timer.as_mut().poll(cx).map(|()| {
            let message = format!("the client took no byte for {timeout:?}");
            io::Error::new(io::ErrorKind::TimedOut, message)
        })
    }
}
