//! A stream that reports how it ends.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The way an [`ObservedStream`] ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum StreamEnd<'a> {
    /// A read returned no more bytes.
    End,
    /// The stream was shut down or dropped before its end and without an error.
    Closed,
    /// A read, write, flush or shutdown failed.
    Failed(&'a io::Error),
}

type Report = Box<dyn FnOnce(StreamEnd<'_>) + Send + Sync>;

/// A stream that reports once how it ends: by its first error, its end, or its close.
///
/// # Example
///
/// ```
/// use std::sync::mpsc;
/// use runtime_ioext::stream::{ObservedStream, StreamEnd};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (ended, reports) = mpsc::channel();
/// let mut body = ObservedStream::new(&b"body"[..], move |outcome| {
///     let _ = ended.send(matches!(outcome, StreamEnd::End));
/// });
/// body.read_to_end(&mut Vec::new()).await?;
/// drop(body);
/// assert_eq!(reports.iter().collect::<Vec<_>>(), [true]);
/// # Ok(())
/// # }
/// ```
pub struct ObservedStream<T> {
    inner: T,
    report: Option<Report>,
}

impl<T> ObservedStream<T> {
    /// Wraps a stream. `report` is called exactly once and must not block.
    ///
    /// `report` runs on the thread and in the task that polls or drops the stream, within that call: when a read
    /// returns the end, `report` has been called. To react in another task, send the end through a channel from
    /// `report`. `report` must not wait for that task or for a lock that the caller holds.
    pub fn new(inner: T, report: impl FnOnce(StreamEnd<'_>) + Send + Sync + 'static) -> Self {
        Self {
            inner,
            report: Some(Box::new(report)),
        }
    }

    fn report(&mut self, outcome: StreamEnd<'_>) {
        if let Some(report) = self.report.take() {
            report(outcome);
        }
    }

    fn report_error<R>(&mut self, result: io::Result<R>) -> io::Result<R> {
        result.inspect_err(|error| self.report(StreamEnd::Failed(error)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ObservedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        self.report_error(result)?;
        // A read into a full buffer also returns no bytes, but is not the end.
        if before > 0 && buf.remaining() == before {
            self.report(StreamEnd::End);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ObservedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        Poll::Ready(self.report_error(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.report_error(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        self.report_error(result)?;
        self.report(StreamEnd::Closed);
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for ObservedStream<T> {
    fn drop(&mut self) {
        self.report(StreamEnd::Closed);
    }
}

impl<T: fmt::Debug> fmt::Debug for ObservedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reported = self.report.is_none();
        f.debug_struct("ObservedStream")
            .field("inner", &self.inner)
            .field("reported", &reported)
            .finish()
    }
}
