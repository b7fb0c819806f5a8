//! Reads of input that may be too large.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What is reserved first.
const FIRST: usize = 8 * 1024;

/// Why input was not read whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedReadError {
    /// There is more than was allowed. At most one byte more was read.
    #[error("cannot read more than {limit} bytes")]
    TooLarge {
        /// The most that was allowed.
        limit: usize,
    },
    /// The reader failed.
    #[error("cannot read the input")]
    Read {
        /// What the reader said.
        source: io::Error,
    },
}

/// Why a file was not read whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoundedReadFileError {
    /// There is more than was allowed.
    #[error("the file {path:?} is larger than {limit} bytes, which is the most that is read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that was allowed.
        limit: usize,
    },
    /// This is no plain file.
    #[error("cannot read {path:?}, because it is not a plain file")]
    NotPlain {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be opened.
    #[error("cannot open the file {path:?}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read the file {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads to the end, if that comes within `limit` bytes. Allocates no more than that.
///
/// # Errors
///
/// If there is more, or if the reader fails.
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
            Ok(n) => buffer.took(n)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(BoundedReadError::Read { source }),
        }
    }
}

/// Reads to the end, if that comes within `limit` bytes. Allocates no more than that.
///
/// # Errors
///
/// If there is more, or if the reader fails.
///
/// # Cancel safety
///
/// Not cancel safe: what was read is lost.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer = tokio::io::repeat(b'x');
/// let error = runtime_ioext::bounded_read_all(answer, 1 << 20).await.unwrap_err();
/// assert_eq!(error.to_string(), "cannot read more than 1048576 bytes");
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
            Ok(n) => buffer.took(n)?,
            Err(source) => return Err(BoundedReadError::Read { source }),
        }
    }
}

/// Reads a plain file of at most `limit` bytes. Allocates no more than that, whatever the file claims to be.
///
/// A path to anything else is refused, and no pipe is waited for. A symlink is followed.
///
/// # Errors
///
/// If the file is larger, not plain, or cannot be opened or read.
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

/// Opens without waiting for the other end of a pipe.
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

/// What was read, in memory that doubles up to the limit.
struct Buffer {
    /// The first `filled` were read.
    bytes: Vec<u8>,
    filled: usize,
    limit: usize,
    /// Where one byte too many goes.
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

    /// Where to read to; never empty.
    fn space(&mut self) -> &mut [u8] {
        if self.filled == self.limit {
            return &mut self.excess;
        }
        if self.filled == self.bytes.len() {
            let more = self.filled.max(FIRST).min(self.limit - self.filled);
            self.bytes.reserve_exact(more);
            self.bytes.resize(self.filled + more, 0);
        }
        &mut self.bytes[self.filled..]
    }

    fn took(&mut self, n: usize) -> Result<(), BoundedReadError> {
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
