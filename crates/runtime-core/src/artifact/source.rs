//! The sources of an artifact's bytes.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// The source of an artifact's bytes. Each attempt of the upload reads it from the start, so it must not
/// change.
#[derive(Clone)]
pub enum ArtifactSource {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A plain file. A symbolic link is refused as the last component of the path and followed elsewhere.
    File(PathBuf),
    /// A plain file at an absolute path that contains no symbolic link, such as one from
    /// [`Path::canonicalize`](std::path::Path::canonicalize). A link anywhere in the path is refused. Use it
    /// if an untrusted process can still change the parent folders.
    FileWithoutLinks(PathBuf),
    /// An open file or another stream that can be rewound.
    Stream(ArtifactStream),
}

impl ArtifactSource {
    /// Creates a source from a stream, which is read on a thread for blocking work.
    ///
    /// ```
    /// # use std::io::Write as _;
    /// # use runtime_core::artifact::ArtifactSource;
    /// let mut report = tempfile::tempfile()?;
    /// writeln!(report, "all well")?;
    /// let source = ArtifactSource::stream(report);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stream(stream: impl Read + Seek + Send + 'static) -> Self {
        Self::Stream(ArtifactStream(Arc::new(Mutex::new(stream))))
    }
}

impl fmt::Debug for ArtifactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File(path) | Self::FileWithoutLinks(path) => write!(f, "{}", path.display()),
            Self::Stream(_) => f.write_str("a stream"),
        }
    }
}

/// A blocking stream of an [`ArtifactSource`]. Clones share it and its position.
#[derive(Clone)]
pub struct ArtifactStream(Arc<Mutex<dyn SeekableRead>>);

trait SeekableRead: Read + Seek + Send {}

impl<T: Read + Seek + Send> SeekableRead for T {}

impl ArtifactStream {
    /// Returns the length in bytes from the start of the stream, regardless of its position. Blocks.
    ///
    /// # Errors
    ///
    /// The error of the stream.
    pub fn byte_length(&self) -> io::Result<u64> {
        self.0.lock().seek(SeekFrom::End(0))
    }

    /// Rewinds the stream and passes it to `read`. Blocks, including the time in which another thread reads
    /// the stream.
    ///
    /// `read` must not call methods of this stream or its clones: such a call would block forever.
    ///
    /// # Errors
    ///
    /// The error of the stream if it cannot be rewound.
    pub fn read_from_start<T>(&self, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
        let mut stream = self.0.lock();
        stream.rewind()?;
        Ok(read(&mut *stream))
    }
}

impl fmt::Debug for ArtifactStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactStream").finish_non_exhaustive()
    }
}
