//! A reader that counts its bytes.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Counts the bytes read through it, for readers that do not implement `Seek`.
///
/// A [`TellHandle`] returns the count while something else, such as a copy, owns or borrows the reader.
///
/// # Example
///
/// ```
/// use runtime_ioext::copy::copy;
/// use runtime_ioext::stream::TellReader;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut download = TellReader::new(&b"hello"[..]);
/// let progress = download.handle();
/// let (mut target, _peer) = tokio::io::duplex(64);
/// let copying = copy(&mut download, &mut target);
/// assert_eq!(progress.tell(), 0);
/// copying.await?;
/// assert_eq!(progress.tell(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TellReader<R> {
    inner: R,
    position: TellHandle,
}

/// The position of a [`TellReader`], readable from other tasks and threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TellHandle {
    read: Arc<AtomicU64>,
}

impl TellHandle {
    /// Returns the number of bytes read.
    #[must_use]
    pub fn tell(&self) -> u64 {
        // A counter only: it orders no other memory.
        self.read.load(Ordering::Relaxed)
    }

    fn add(&self, n: usize) {
        self.read.fetch_add(n as u64, Ordering::Relaxed);
    }
}

impl<R> TellReader<R> {
    /// Creates a reader at position 0.
    pub fn new(inner: R) -> Self {
        let read = Arc::default();
        Self {
            inner,
            position: TellHandle { read },
        }
    }

    /// Returns the number of bytes read.
    #[must_use]
    pub fn tell(&self) -> u64 {
        self.position.tell()
    }

    /// Returns a handle on the position, which stays valid after the reader is dropped.
    #[must_use]
    pub fn handle(&self) -> TellHandle {
        self.position.clone()
    }

    /// Returns the inner reader.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for TellReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.inner.read(bytes).inspect(|&n| self.position.add(n))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for TellReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.position.add(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}
