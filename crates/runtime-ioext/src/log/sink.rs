//! What the adaptors in front of a log build on.

use std::io;
use std::task::{Context, Poll, ready};

use super::error::WriteLogError;

/// Takes bytes on their way to a log: a [`LogWriter`](super::LogWriter), or an adaptor in front of one.
///
/// A caller first waits for room, as a thread or as a task, and then pushes up to
/// [`AT_ONCE`](Self::AT_ONCE) bytes. Every adaptor is also an [`io::Write`](std::io::Write) and a
/// [`tokio::io::AsyncWrite`] that do this, and most programs use those.
pub trait LogSink {
    /// How many bytes a caller should push at once.
    const AT_ONCE: usize = 32 * 1024;

    /// Blocks the thread while too much is pending that the disk has not taken.
    fn wait_for_room(&mut self);

    /// Waits as a task while too much is pending.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes bytes as one piece, whether there is room or not. Never waits.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError>;

    /// Has what was pushed written to the file soon, without waiting for it.
    fn start_flush(&mut self);

    /// Passes on what this and everything behind it holds back, because the output has ended.
    ///
    /// # Errors
    ///
    /// If the log is closed or its file takes no more.
    fn finish(&mut self) -> Result<(), WriteLogError>;
}

/// Pushes all bytes, and waits as a thread for room.
pub(super) fn write_all<S: LogSink>(sink: &mut S, bytes: &[u8]) -> Result<(), WriteLogError> {
    bytes.chunks(S::AT_ONCE).try_for_each(|bytes| {
        sink.wait_for_room();
        sink.push(bytes)
    })
}

/// Pushes up to `most` bytes, and waits as a task for room.
pub(super) fn poll_write<S: LogSink>(
    sink: &mut S,
    cx: &mut Context<'_>,
    bytes: &[u8],
    most: usize,
) -> Poll<io::Result<usize>> {
    // A source that never pauses must not keep other tasks from running.
    let coop = ready!(tokio::task::coop::poll_proceed(cx));
    ready!(sink.poll_room(cx));
    let bytes = &bytes[..bytes.len().min(most)];
    sink.push(bytes)?;
    coop.made_progress();
    Poll::Ready(Ok(bytes.len()))
}

/// Makes an adaptor a writer: an inherent `write_all`, `io::Write`, `AsyncWrite`, and the end on drop.
macro_rules! impl_writer {
    ($adaptor:ident) => {
        impl<S: $crate::log::LogSink> $adaptor<S> {
            /// Writes bytes, and waits as a thread while the disk lags too far behind.
            ///
            /// # Errors
            ///
            /// If the log is closed or its file takes no more.
            pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), $crate::log::WriteLogError> {
                $crate::log::sink::write_all(self, bytes)
            }
        }

        impl<S: $crate::log::LogSink> std::io::Write for $adaptor<S> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                $crate::log::sink::write_all(self, bytes)?;
                Ok(bytes.len())
            }

            /// Has the file written soon. What is held back stays so, because copies flush whenever
            /// their source pauses.
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
                let most = <Self as $crate::log::LogSink>::AT_ONCE;
                $crate::log::sink::poll_write(&mut *self, cx, bytes, most)
            }

            /// Has the file written soon. What is held back stays so, because copies flush whenever
            /// their source pauses.
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
