//! A reader that counts its bytes.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Counts the bytes read through it, for readers that do not implement `Seek`.
///
/// # Example
///
/// ```
/// use std::io::Read;
///
/// # fn main() -> std::io::Result<()> {
/// let mut reader = runtime_ioext::stream::TellReader::new(&b"hello"[..]);
/// reader.read_exact(&mut [0; 3])?;
/// assert_eq!(reader.tell(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TellReader<R> {
    inner: R,
    read: u64,
}

impl<R> TellReader<R> {
    /// Creates a reader at position 0.
    pub fn new(inner: R) -> Self {
        Self { inner, read: 0 }
    }

    /// Returns the number of bytes read.
    #[must_use]
    pub fn tell(&self) -> u64 {
        self.read
    }

    /// Returns the inner reader.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for TellReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.inner.read(bytes).inspect(|&n| self.read += n as u64)
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
        self.read += (buf.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}
