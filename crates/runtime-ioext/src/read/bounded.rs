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
pub fn read_at_most(mut reader: impl Read, limit: usize) -> Result<Vec<u8>, BoundedReadError> {
    let mut bytes = Vec::new();
    loop {
        let (start, mut probe) = (bytes.len(), [0]);
        let read = match grow(&mut bytes, limit) {
            true => reader.read(&mut bytes[start..]),
            false => reader.read(&mut probe),
        };
        match read {
            Ok(0) => return Ok(shortened(bytes, start)),
            Ok(_) if start == limit => return Err(BoundedReadError::TooLarge { limit }),
            Ok(n) => bytes.truncate(start + n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => bytes.truncate(start),
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
pub async fn bounded_read_all(
    mut reader: impl AsyncRead + Unpin,
    limit: usize,
) -> Result<Vec<u8>, BoundedReadError> {
    let mut bytes = Vec::new();
    loop {
        let (start, mut probe) = (bytes.len(), [0]);
        let read = match grow(&mut bytes, limit) {
            true => reader.read(&mut bytes[start..]).await,
            false => reader.read(&mut probe).await,
        };
        match read {
            Ok(0) => return Ok(shortened(bytes, start)),
            Ok(_) if start == limit => return Err(BoundedReadError::TooLarge { limit }),
            Ok(n) => bytes.truncate(start + n),
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

/// Makes the bytes longer, up to the limit, and tells whether that was possible.
fn grow(bytes: &mut Vec<u8>, limit: usize) -> bool {
    let more = bytes.len().max(FIRST).min(limit - bytes.len());
    bytes.reserve_exact(more);
    bytes.resize(bytes.len() + more, 0);
    more > 0
}

fn shortened(mut bytes: Vec<u8>, len: usize) -> Vec<u8> {
    bytes.truncate(len);
    bytes
}
