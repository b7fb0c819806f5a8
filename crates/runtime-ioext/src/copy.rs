//! Copies with distinct read and write errors.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Size of the copy buffer.
const BUFFER_SIZE: usize = 64 * 1024;

/// The error of a copy, with the number of bytes written before it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The reader failed.
    #[error("cannot read the source of a copy after {copied} bytes")]
    Read {
        /// The number of bytes written.
        copied: u64,
        /// The error of the reader.
        source: io::Error,
    },
    /// The writer failed.
    #[error("cannot write the target of a copy after {copied} bytes")]
    Write {
        /// The number of bytes written.
        copied: u64,
        /// The error of the writer.
        source: io::Error,
    },
}

impl CopyError {
    /// Returns the number of bytes written.
    #[must_use]
    pub fn copied(&self) -> u64 {
        match self {
            Self::Read { copied, .. } | Self::Write { copied, .. } => *copied,
        }
    }
}

/// Copies until the reader ends, then flushes the writer. Returns the number of bytes.
///
/// # Errors
///
/// [`CopyError::Read`] or [`CopyError::Write`]. After a read error, the bytes read before it are flushed.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read but not yet written are lost.
///
/// # Example
///
/// ```
/// use runtime_ioext::copy::{CopyError, copy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut space = [0; 3];
/// let mut target = std::io::Cursor::new(&mut space[..]);
/// let error = copy(&mut &b"hello"[..], &mut target).await.unwrap_err();
/// assert!(matches!(error, CopyError::Write { copied: 3, .. }));
/// # }
/// ```
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> Result<u64, CopyError>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut copied = 0;
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => break,
            Ok(n) => write_all(writer, &buffer[..n], &mut copied).await?,
            Err(source) => return Err(read_error(source, writer, copied).await),
        }
    }
    flush(writer, copied).await?;
    Ok(copied)
}

/// Copies until the reader ends, then shuts the writer down, even after an error. Returns the number of bytes.
///
/// After a read error, the peer of the writer therefore receives a partial copy with a clean end: only the
/// returned error shows that bytes are missing. To pass the error on through a [pipe](crate::pipe), use [`copy`]
/// and close the writer with the error.
///
/// # Errors
///
/// The first [`CopyError::Read`] or [`CopyError::Write`]. An error of the shutdown is a `CopyError::Write`.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read but not yet written are lost, and both streams are dropped, the writer
/// without a shutdown.
///
/// # Example
///
/// ```
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, mut far) = tokio::io::duplex(64);
/// assert_eq!(runtime_ioext::copy::copy_and_close(&b"hello"[..], near).await?, 5);
///
/// let mut text = String::new();
/// far.read_to_string(&mut text).await?; // Returns, because the near side was closed.
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
pub async fn copy_and_close<R, W>(mut reader: R, mut writer: W) -> Result<u64, CopyError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let copied = copy(&mut reader, &mut writer).await;
    // Even after an error of the copy: the peer would otherwise wait for further bytes.
    let closed = writer.shutdown().await;
    let copied = copied?;
    match closed {
        Ok(()) => Ok(copied),
        Err(source) => Err(CopyError::Write { copied, source }),
    }
}

/// Copies until the reader ends, and flushes the writer at most `interval` after a write, even if the
/// reader is idle. Returns the number of bytes.
///
/// # Errors
///
/// [`CopyError::Read`] or [`CopyError::Write`]. After a read error, the bytes read before it are flushed.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that were read but not yet written are lost.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut process, mut output) = tokio::io::duplex(64);
/// let (viewer, mut screen) = tokio::io::duplex(64);
/// tokio::spawn(async move {
///     let mut viewer = BufWriter::new(viewer);
///     runtime_ioext::copy::copy_and_flush(&mut output, &mut viewer, Duration::from_millis(100)).await
/// });
/// process.write_all(b"50 %").await?;
/// let mut text = [0; 4];
/// screen.read_exact(&mut text).await?; // Returns after 100 ms, although the process still runs.
/// assert_eq!(&text, b"50 %");
/// # Ok(())
/// # }
/// ```
pub async fn copy_and_flush<R, W>(
    reader: &mut R,
    writer: &mut W,
    interval: Duration,
) -> Result<u64, CopyError>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut copied = 0;
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut flush_at = None;
    loop {
        if flush_at.is_some_and(|at| at <= Instant::now()) {
            flush(writer, copied).await?;
            flush_at = None;
        }
        // Dropping the future of a read loses no bytes, so a deadline may interrupt it.
        let Some(read) = until_deadline(flush_at, reader.read(&mut buffer)).await else {
            continue;
        };
        match read {
            Ok(0) => break,
            Ok(n) => write_all(writer, &buffer[..n], &mut copied).await?,
            Err(source) => return Err(read_error(source, writer, copied).await),
        }
        // Counted from the first write after a flush: a steady stream must not postpone the flush. An
        // interval too long for the clock never ends.
        flush_at = flush_at.or_else(|| Instant::now().checked_add(interval));
    }
    flush(writer, copied).await?;
    Ok(copied)
}

/// Runs `future` until `deadline`; `None` if the deadline passed.
async fn until_deadline<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

async fn write_all<W>(writer: &mut W, mut bytes: &[u8], copied: &mut u64) -> Result<(), CopyError>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    while !bytes.is_empty() {
        let written = match writer.write(bytes).await {
            // Not retried: a writer that accepts nothing would make this loop spin.
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            result => result,
        };
        let written = written.map_err(|source| CopyError::Write {
            copied: *copied,
            source,
        })?;
        *copied += written as u64;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Flushes the bytes before the reader's error. An error of the flush is ignored: the reader failed first.
async fn read_error<W>(source: io::Error, writer: &mut W, copied: u64) -> CopyError
where
    W: AsyncWrite + Unpin + ?Sized,
{
    // A viewer should see the output up to the failure.
    let _ = writer.flush().await;
    CopyError::Read { copied, source }
}

async fn flush<W>(writer: &mut W, copied: u64) -> Result<(), CopyError>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    writer
        .flush()
        .await
        .map_err(|source| CopyError::Write { copied, source })
}
