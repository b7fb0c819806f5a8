//! The interface of writers and adaptors of a log.

use std::io;
use std::task::{Context, Poll, ready};

use super::error::WriteLogError;

/// A destination of log output: a [`LogWriter`](super::LogWriter), or an adaptor around one.
///
/// A caller waits until the sink is ready, blocking or async, and then pushes up to
/// [`MAX_PUSH`](Self::MAX_PUSH) bytes. The split keeps adaptors synchronous: only the wait has an async
/// version. Most programs use [`io::Write`] or [`tokio::io::AsyncWrite`] instead, which
/// every adaptor implements too.
pub trait LogSink {
    /// The maximum number of bytes that a caller should push at once: 32 KiB unless overridden.
    const MAX_PUSH: usize = 32 * 1024;

    /// Blocks until few enough bytes are pending.
    fn wait_until_ready(&mut self);

    /// Polls until few enough bytes are pending.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Appends bytes contiguously, without waiting, even if the sink is not ready.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError>;

    /// Starts to flush pushed bytes, without waiting.
    fn start_flush(&mut self);

    /// Passes on all bytes that this sink and those behind it buffer. Called at the end of the output.
    ///
    /// # Errors
    ///
    /// If the log is closed or has failed.
    fn finish(&mut self) -> Result<(), WriteLogError>;
}

/// Pushes bytes unless there are none: an adaptor without buffered bytes must not fail on a closed log.
pub(super) fn push_buffered<S: LogSink>(sink: &mut S, bytes: &[u8]) -> Result<(), WriteLogError> {
    if bytes.is_empty() {
        return Ok(());
    }
    sink.push(bytes)
}

/// Pushes all bytes, blocking while the sink is not ready.
pub(super) fn write_all<S: LogSink>(sink: &mut S, bytes: &[u8]) -> Result<(), WriteLogError> {
    bytes.chunks(S::MAX_PUSH).try_for_each(|bytes| {
        sink.wait_until_ready();
        sink.push(bytes)
    })
}

/// Pushes up to `max_len` bytes once the sink is ready. Returns the number of bytes.
pub(super) fn poll_write<S: LogSink>(
    sink: &mut S,
    cx: &mut Context<'_>,
    bytes: &[u8],
    max_len: usize,
) -> Poll<io::Result<usize>> {
    // Takes part in tokio's cooperative scheduling: a source that is always ready must not starve other
    // tasks.
    let coop = ready!(tokio::task::coop::poll_proceed(cx));
    ready!(sink.poll_ready(cx));
    let bytes = &bytes[..bytes.len().min(max_len)];
    sink.push(bytes)?;
    coop.made_progress();
    Poll::Ready(Ok(bytes.len()))
}

/// Implements `write_all`, `io::Write` and `AsyncWrite` for an adaptor. This is a macro, because Rust does
/// not allow a blanket implementation of foreign traits.
macro_rules! impl_writer {
    ($adaptor:ident) => {
        impl<S: $crate::log::LogSink> $adaptor<S> {
            /// Writes all bytes, blocking while too many are pending.
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

            /// Starts a flush of the log. Bytes buffered by the adaptor stay buffered: a copy flushes whenever
            /// its source is idle, which must not split a line or a secret.
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
                let max_len = <Self as $crate::log::LogSink>::MAX_PUSH;
                $crate::log::sink::poll_write(&mut *self, cx, bytes, max_len)
            }

            /// Starts a flush of the log. Bytes buffered by the adaptor stay buffered: a copy flushes whenever
            /// its source is idle, which must not split a line or a secret.
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
