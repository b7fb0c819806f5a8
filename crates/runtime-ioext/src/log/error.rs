//! The errors of a log, one type per operation.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The error of creating a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateLogError {
    /// The file could not be created or truncated.
    #[error(
        "cannot create the log file {path:?}; check that its folder exists and can be written to"
    )]
    Create {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The error of a write. The log contains no byte of the failed call, unless the call had 64 KiB or more
/// and failed part-way.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteLogError {
    /// The log is closed.
    #[error("cannot write to the log {path:?}: it is closed")]
    Closed {
        /// The log's file.
        path: PathBuf,
    },
    /// This write or an earlier one failed. All later writes fail too; readers receive the bytes accepted
    /// before, then an error.
    #[error(
        "cannot write to the log {path:?}: its file cannot be written; check the free disk space"
    )]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// The error of the failed write.
        source: Arc<io::Error>,
    },
}

/// The error of closing a log.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseLogError {
    /// A write to the file failed, so the end of the log is missing in the file.
    #[error("cannot close the log {path:?}: its file cannot be written; check the free disk space")]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// The error of the failed write.
        source: Arc<io::Error>,
    },
}

/// The error of reading a log. The reader has already returned every byte before its offset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadLogError {
    /// All writers and handles were dropped without closing the log, so it may be incomplete.
    #[error("the log {path:?} was dropped without being closed")]
    Abandoned {
        /// The log's file.
        path: PathBuf,
    },
    /// A write to the file failed. Later bytes are lost.
    #[error("the log {path:?} is incomplete: its file could not be written")]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// The error of the failed write.
        source: Arc<io::Error>,
    },
    /// The file could not be read.
    #[error("cannot read the log file {path:?} at byte {offset}")]
    Read {
        /// The log's file.
        path: PathBuf,
        /// The offset of the read.
        offset: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is shorter than the log: it was truncated by another process.
    #[error("the log file {path:?} was truncated by another process: byte {offset} is missing")]
    Truncated {
        /// The log's file.
        path: PathBuf,
        /// The first missing byte.
        offset: u64,
    },
}

/// The error of extracting the file of a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractLogError {
    /// The log is open.
    #[error("the log {path:?} is not closed; close it before extracting its file")]
    NotClosed {
        /// The log's file.
        path: PathBuf,
    },
    /// A write failed, so the end of the log is missing in the file. A reader returns every accepted byte.
    #[error("the log {path:?} is incomplete: its file could not be written")]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// The error of the failed write.
        source: Arc<io::Error>,
    },
    /// The file could not be opened.
    #[error("cannot open the log file {path:?}")]
    Open {
        /// The log's file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The length of the file differs from that of the log: it was changed by another process.
    #[error(
        "the log file {path:?} was changed by another process: it has {actual} bytes instead of {expected}"
    )]
    Changed {
        /// The log's file.
        path: PathBuf,
        /// The length of the log.
        expected: u64,
        /// The length of the file.
        actual: u64,
    },
}

impl From<WriteLogError> for io::Error {
    /// Keeps the kind of the failed write, such as [`StorageFull`](io::ErrorKind::StorageFull); a closed log
    /// becomes [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    fn from(error: WriteLogError) -> Self {
        let kind = match &error {
            WriteLogError::Closed { .. } => io::ErrorKind::BrokenPipe,
            WriteLogError::Failed { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

impl From<ReadLogError> for io::Error {
    /// Keeps the kind of the operating system's error; a truncated or abandoned log becomes
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    fn from(error: ReadLogError) -> Self {
        let kind = match &error {
            ReadLogError::Abandoned { .. } | ReadLogError::Truncated { .. } => {
                io::ErrorKind::UnexpectedEof
            }
            ReadLogError::Failed { source, .. } => source.kind(),
            ReadLogError::Read { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}
