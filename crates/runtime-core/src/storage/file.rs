//! A file of a storage.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::owned_path::OwnedPath;
use super::process_folder::ProcessFolder;

/// An open temporary file, removed on [close](Self::close) and on drop.
///
/// `F` is the file itself: [`std::fs::File`], with the blocking traits `Read`, `Write` and `Seek`, or, after
/// [`into_async`](Self::into_async), [`tokio::fs::File`] with `AsyncRead`, `AsyncWrite` and `AsyncSeek`.
///
/// Other programs can open the file by its path, or move it elsewhere. A file that was moved is not removed.
///
/// ```
/// # use runtime_core::TemporaryStorage;
/// use std::io::SeekFrom;
/// use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// # let storage = TemporaryStorage::open(root.path())?;
/// let mut file = storage.new_file("report")?.into_async();
/// file.write_all(b"passed and more").await?;
/// file.set_len(6).await?;
/// file.seek(SeekFrom::Start(0)).await?;
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "passed");
///
/// let path = file.path().to_owned();
/// file.close().await?;
/// assert!(!path.exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TemporaryFile<F = File> {
    // Dropped in this order: the file is closed, then removed, then the process folder may be.
    file: F,
    path: OwnedPath,
    process_folder: Arc<ProcessFolder>,
}

impl<F> TemporaryFile<F> {
    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.path()
    }

    /// Opens the file again for reading and writing, as a handle with its own position. Dropping that handle does
    /// not remove the file.
    ///
    /// # Errors
    ///
    /// The error of the operating system, such as `NotFound` if the file was moved away.
    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path())
    }
}

impl TemporaryFile {
    pub(super) fn new(file: File, path: PathBuf, process_folder: Arc<ProcessFolder>) -> Self {
        Self {
            file,
            path: OwnedPath::new(path),
            process_folder,
        }
    }

    /// Converts to a file with async methods, at the same position.
    #[must_use]
    pub fn into_async(self) -> TemporaryFile<tokio::fs::File> {
        TemporaryFile {
            file: tokio::fs::File::from_std(self.file),
            path: self.path,
            process_folder: self.process_folder,
        }
    }

    /// Truncates the file, or extends it with zeros. The position is unchanged.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    /// Closes and removes the file, and returns errors, which a drop only logs. A file that was moved away is not an
    /// error.
    ///
    /// # Errors
    ///
    /// The error of the operating system. A remaining file is removed with the process folder or by the next worker.
    pub fn close(self) -> io::Result<()> {
        drop(self.file);
        self.path.remove()
    }
}

impl TemporaryFile<tokio::fs::File> {
    /// Truncates the file, or extends it with zeros, after all earlier writes. The position is unchanged.
    ///
    /// # Errors
    ///
    /// The error of the operating system, or of an earlier write.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the length may or may not have changed.
    pub async fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).await
    }

    /// Completes all writes, closes and removes the file, and returns errors, which a drop only logs. A file that was
    /// moved away is not an error.
    ///
    /// # Errors
    ///
    /// The error of an earlier write, which does not prevent the removal, or of the operating system. A remaining
    /// file is removed with the process folder or by the next worker.
    ///
    /// # Cancel safety
    ///
    /// The file is removed even if the future is dropped; the error is lost.
    pub async fn close(mut self) -> io::Result<()> {
        // Writes complete in the background, and their errors appear on the next call.
        let written = self.file.flush().await;
        drop(self.file);
        let removed = tokio::task::spawn_blocking(|| self.path.remove()).await?;
        written.and(removed)
    }
}

impl<F: Read> Read for TemporaryFile<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl<F: Write> Write for TemporaryFile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Seek> Seek for TemporaryFile<F> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl<F: AsyncRead + Unpin> AsyncRead for TemporaryFile<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(cx, buf)
    }
}

impl<F: AsyncWrite + Unpin> AsyncWrite for TemporaryFile<F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.file).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

impl<F: AsyncSeek + Unpin> AsyncSeek for TemporaryFile<F> {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(cx)
    }
}
