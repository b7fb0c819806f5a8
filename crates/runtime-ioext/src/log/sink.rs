//! The interface of writers and adaptors of a log.

use std::io;
use std::task::{Context, Poll, ready};

use super::error::WriteLogError;

/// A destination of log output: a [`LogWriter`](super::LogWriter), or an adaptor around one.
///
/// Callers wait until the sink is ready, blocking or async, and then push up to [`MAX_PUSH`](Self::MAX_PUSH)
/// bytes. Every adaptor also implements [`io::Write`](std::io::Write) and [`tokio::io::AsyncWrite`], which
/// most programs use instead.
pub trait LogSink {
    /// The maximum number of bytes that a caller should push at once.
    const MAX_PUSH: usize = 32 * 1024;

    /// Blocks while too many bytes are pending.
    fn wait_until_ready(&mut self);

    /// Polls until few enough bytes are pending.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Appends bytes contiguously, even if the sink is not ready. Never blocks.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError>;

    /// Starts to flush pushed bytes, without waiting.
    fn start_flush(&mut self);

    /// Writes everything that this sink and those behind it buffer, at the end of the output.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    fn finish(&mut self) -> Result<(), WriteLogError>;
}

/// Pushes all bytes, blocking while the sink is not ready.
pub(super) fn write_all<S: LogSink>(sink: &mut S, bytes: &[u8]) -> Result<(), WriteLogError> {
    bytes.chunks(S::MAX_PUSH).try_for_each(|bytes| {
        sink.wait_until_ready();
        sink.push(bytes)
    })
}

/// Pushes up to `most` bytes once the sink is ready.
pub(super) fn poll_write<S: LogSink>(
    sink: &mut S,
    cx: &mut Context<'_>,
    bytes: &[u8],
    most: usize,
) -> Poll<io::Result<usize>> {
    // A source that is always ready must not starve other tasks.
    let coop = ready!(tokio::task::coop::poll_proceed(cx));
    ready!(sink.poll_ready(cx));
    let bytes = &bytes[..bytes.len().min(most)];
    sink.push(bytes)?;
    coop.made_progress();
    Poll::Ready(Ok(bytes.len()))
}

/// Implements `write_all`, `io::Write` and `AsyncWrite` for an adaptor.
macro_rules! impl_writer {
    ($adaptor:ident) => {
        impl<S: $crate::log::LogSink> $adaptor<S> {
            /// Writes bytes, blocking while too many are pending.
            ///
            /// # Errors
            ///
            /// If the log is closed or has failed.
            pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), $crate::log::WriteLogError> {
                $crate::log::sink::write_all(self, bytes)
            }
        }

        impl<S: $crate::log::LogSink> std::io::Write for $adaptor<S> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                $crate::log::sink::write_all(self, bytes)?;
                Ok(bytes.len())
            }

            /// Starts a flush. Buffered bytes of the adaptor stay buffered, because copies flush whenever
            /// their source is idle.
            fn flush(&mut self) -> std::io::Result<()> {
                $crate::log::LogSink::start_flush(self);
                Ok(())
            }
        }

        impl<S: $crate::log::LogSink + Unpin> tokio::io::AsyncWrite for $adaptor<S> {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let most = <Self as $crate::log::LogSink>::MAX_PUSH;
                $crate::log::sink::poll_write(&mut *self, cx, bytes, most)
            }

            /// Starts a flush. Buffered bytes of the adaptor stay buffered, because copies flush whenever
            /// their source is idle.
            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                $crate::log::LogSink::start_flush(&mut *self);
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                $crate::log::LogSink::finish(&mut *self)?;
                self.poll_flush(cx)
            }
        }
    };
}

pub(super) use impl_writer;
