//! What can go wrong with a log, one type an operation.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a log could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateLogError {
    /// The file could not be created or emptied.
    #[error(
        "cannot create the log file {path:?}; check that its folder exists and can be written to"
    )]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a log took no more bytes. Nothing of the failed call is in the log, unless the call was larger
/// than 64 KiB and the log broke in the middle of it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteLogError {
    /// The log was closed before.
    #[error("cannot write to the log {path:?}, because it was closed")]
    Closed {
        /// The log's file.
        path: PathBuf,
    },
    /// The file took no more, now or earlier. That is final: readers get what was accepted before, then
    /// an error.
    #[error(
        "cannot write to the log {path:?}, because its file takes no more; check the disk's free space"
    )]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// What the system said when the write failed.
        source: Arc<io::Error>,
    },
}

/// Why a log could not be closed with everything in its file.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseLogError {
    /// The file took no more, now or earlier, so that bytes are missing at its end.
    #[error(
        "cannot close the log {path:?}, because its file takes no more; check the disk's free space"
    )]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// What the system said when the write failed.
        source: Arc<io::Error>,
    },
}

/// Why a reader could not go on. It has given every byte before its offset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadLogError {
    /// Everything that can write was dropped and nobody closed the log, so that nobody knows whether it
    /// is complete.
    #[error("the log {path:?} ends here, because it was dropped without being closed")]
    Abandoned {
        /// The log's file.
        path: PathBuf,
    },
    /// The file took no more. Later bytes are lost.
    #[error("the log {path:?} breaks off here, because its file took no more")]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// What the system said when the write failed.
        source: Arc<io::Error>,
    },
    /// The file could not be read.
    #[error("cannot read the log file {path:?} at byte {offset}")]
    Read {
        /// The log's file.
        path: PathBuf,
        /// Where the read started.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The file is shorter than what was written to it: somebody else changed it.
    #[error("the log file {path:?} was cut short by somebody else: byte {offset} is gone")]
    Truncated {
        /// The log's file.
        path: PathBuf,
        /// The first byte that is missing.
        offset: u64,
    },
}

/// Why the file of a log could not be handed out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractLogError {
    /// The log is still open: close it first.
    #[error("the log {path:?} is not closed; close it before its file is extracted")]
    NotClosed {
        /// The log's file.
        path: PathBuf,
    },
    /// The file took no more, so that bytes are missing at its end. A reader still gives what there is.
    #[error("the log {path:?} is incomplete, because its file took no more")]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// What the system said when the write failed.
        source: Arc<io::Error>,
    },
    /// The file could not be opened again.
    #[error("cannot open the log file {path:?} again")]
    Open {
        /// The log's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is at the path has another length than the log: somebody else changed or replaced it.
    #[error(
        "the log file {path:?} was changed by somebody else: it has {actual} bytes instead of {expected}"
    )]
    Changed {
        /// The log's file.
        path: PathBuf,
        /// The length of the log.
        expected: u64,
        /// The length of what is at the path.
        actual: u64,
    },
}

impl From<WriteLogError> for io::Error {
    /// Keeps the kind of what the system said, such as [`StorageFull`](io::ErrorKind::StorageFull); a
    /// closed log is a [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    fn from(error: WriteLogError) -> Self {
        let kind = match &error {
            WriteLogError::Closed { .. } => io::ErrorKind::BrokenPipe,
            WriteLogError::Failed { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

impl From<ReadLogError> for io::Error {
    /// Keeps the kind of what the system said; a log that was cut short or never closed is an
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
