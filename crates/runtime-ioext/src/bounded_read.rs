//! Reads of input with a size limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Initial buffer size.
const INITIAL_SIZE: usize = 8 * 1024;

/// The error of a bounded read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedReadError {
    /// The input exceeds the limit. At most one byte beyond the limit was read.
    #[error("input exceeds {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The reader failed.
    #[error("cannot read the input")]
    Read {
        /// The error of the reader.
        source: io::Error,
    },
}

/// The error of [`bounded_read_file`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedReadFileError {
    /// The file exceeds the limit.
    #[error("file {path:?} exceeds {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// The path is not a plain file.
    #[error("cannot read {path:?}: it is not a plain file")]
    NotPlain {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be opened.
    #[error("cannot open the file {path:?}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read the file {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Reads to the end of an input of at most `limit` bytes. Allocates at most `limit` bytes.
///
/// # Errors
///
/// If the input exceeds the limit, or if the reader fails.
///
/// # Example
///
/// ```
/// use runtime_ioext::{BoundedReadError, read_at_most};
///
/// assert_eq!(read_at_most(&b"small"[..], 5).unwrap(), b"small");
/// let error = read_at_most(&b"larger"[..], 5).unwrap_err();
/// assert!(matches!(error, BoundedReadError::TooLarge { limit: 5 }));
/// ```
pub fn read_at_most(mut reader: impl Read, limit: usize) -> Result<Vec<u8>, BoundedReadError> {
    let mut buffer = Buffer::new(limit);
    loop {
        match reader.read(buffer.space()) {
            Ok(0) => return Ok(buffer.into_bytes()),
            Ok(n) => buffer.advance(n)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(BoundedReadError::Read { source }),
        }
    }
}

/// Reads to the end of an async input of at most `limit` bytes. Allocates at most `limit` bytes.
///
/// # Errors
///
/// If the input exceeds the limit, or if the reader fails.
///
/// # Cancel safety
///
/// Not cancel safe: bytes read before the future is dropped are lost.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer = tokio::io::repeat(b'x');
/// let error = runtime_ioext::bounded_read_all(answer, 1 << 20).await.unwrap_err();
/// assert_eq!(error.to_string(), "input exceeds 1048576 bytes");
/// # }
/// ```
pub async fn bounded_read_all(
    mut reader: impl AsyncRead + Unpin,
    limit: usize,
) -> Result<Vec<u8>, BoundedReadError> {
    let mut buffer = Buffer::new(limit);
    loop {
        match reader.read(buffer.space()).await {
            Ok(0) => return Ok(buffer.into_bytes()),
            Ok(n) => buffer.advance(n)?,
            Err(source) => return Err(BoundedReadError::Read { source }),
        }
    }
}

/// Reads a plain file of at most `limit` bytes. Allocates at most `limit` bytes, whatever size the file
/// reports.
///
/// A symlink is followed. Devices, pipes and folders are refused without blocking.
///
/// # Errors
///
/// If the file exceeds the limit, is not plain, or cannot be opened or read.
///
/// # Example
///
/// ```
/// use runtime_ioext::{BoundedReadFileError, bounded_read_file};
///
/// let error = bounded_read_file("/no/such/file", 1 << 20).unwrap_err();
/// assert!(matches!(error, BoundedReadFileError::Open { .. }));
/// ```
pub fn bounded_read_file(
    path: impl AsRef<Path>,
    limit: usize,
) -> Result<Vec<u8>, BoundedReadFileError> {
    let path = path.as_ref();
    let owned = || path.to_path_buf();
    let file = open(path).map_err(|source| BoundedReadFileError::Open {
        path: owned(),
        source,
    })?;
    let metadata = file
        .metadata()
        .map_err(|source| BoundedReadFileError::Read {
            path: owned(),
            source,
        })?;
    if !metadata.is_file() {
        return Err(BoundedReadFileError::NotPlain { path: owned() });
    }
    if metadata.len() > limit as u64 {
        return Err(BoundedReadFileError::TooLarge {
            path: owned(),
            limit,
        });
    }
    // The size may be wrong (as in `/proc`) or grow meanwhile: the read enforces the limit again.
    read_at_most(file, limit).map_err(|error| match error {
        BoundedReadError::TooLarge { limit } => BoundedReadFileError::TooLarge {
            path: owned(),
            limit,
        },
        BoundedReadError::Read { source } => BoundedReadFileError::Read {
            path: owned(),
            source,
        },
    })
}

/// Opens a file. Opening a pipe would block until it has a writer; `NONBLOCK` prevents that.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits() as i32,
    );
    options.open(path)
}

/// A buffer that doubles up to the limit, so that small inputs under a large limit need little memory.
struct Buffer {
    /// The first `filled` bytes are valid.
    bytes: Vec<u8>,
    filled: usize,
    limit: usize,
    /// Receives one byte beyond the limit. A reader can prove its end only by another read.
    excess: [u8; 1],
}

impl Buffer {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            filled: 0,
            limit,
            excess: [0],
        }
    }

    /// Returns the free part of the buffer; never empty.
    fn space(&mut self) -> &mut [u8] {
        if self.filled == self.limit {
            return &mut self.excess;
        }
        if self.filled == self.bytes.len() {
            let more = self.filled.max(INITIAL_SIZE).min(self.limit - self.filled);
            self.bytes.reserve_exact(more);
            self.bytes.resize(self.filled + more, 0);
        }
        &mut self.bytes[self.filled..]
    }

    fn advance(&mut self, n: usize) -> Result<(), BoundedReadError> {
        if self.filled == self.limit {
            return Err(BoundedReadError::TooLarge { limit: self.limit });
        }
        self.filled += n;
        Ok(())
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}
