//! The errors of pipes, one type per direction.

use std::io;
use std::sync::Arc;

/// The error of a read from a pipe that did not end cleanly. The reader has already returned all written
/// bytes, and returns the same error on every further read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeReadError {
    /// The writer was dropped before it was closed, such as by a panic or a cancelled task.
    #[error("the pipe is incomplete: its writer was dropped before it was closed")]
    WriterDropped,
    /// The writer was closed with an error.
    #[error("the pipe is incomplete: its writer was closed with an error")]
    Failed {
        /// The error of the writer.
        source: Arc<io::Error>,
    },
}

/// The error of a write to a pipe, which wrote nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeWriteError {
    /// The write does not fit into a bounded pipe.
    #[error(
        "cannot write {len} bytes to a pipe with a capacity of {capacity} bytes and {unread} unread bytes; wait until more is read"
    )]
    Full {
        /// Length of the write.
        len: usize,
        /// Capacity of the pipe.
        capacity: usize,
        /// Number of unread bytes.
        unread: usize,
    },
    /// The reader was dropped.
    #[error("cannot write to a pipe whose reader was dropped")]
    ReaderDropped,
    /// The reader was closed with an error.
    #[error("cannot write to a pipe whose reader was closed with an error")]
    Failed {
        /// The error of the reader.
        source: Arc<io::Error>,
    },
    /// The writer was shut down before.
    #[error("cannot write to a pipe after the shutdown of its writer")]
    ShutDown,
    /// The writer has no credit left, and no handle exists that could grant more.
    #[error("cannot write to a pipe without credit: all its credit handles were dropped")]
    NoCredit,
}

impl From<PipeReadError> for io::Error {
    /// Keeps the kind of the writer's error; a dropped writer becomes
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
    fn from(error: PipeReadError) -> Self {
        let kind = match &error {
            PipeReadError::WriterDropped => io::ErrorKind::UnexpectedEof,
            PipeReadError::Failed { source } => source.kind(),
        };
        Self::new(kind, error)
    }
}

impl From<PipeWriteError> for io::Error {
    /// Keeps the kind of the reader's error; a full pipe becomes [`WouldBlock`](io::ErrorKind::WouldBlock),
    /// and the others become [`BrokenPipe`](io::ErrorKind::BrokenPipe).
    fn from(error: PipeWriteError) -> Self {
        let kind = match &error {
            PipeWriteError::Full { .. } => io::ErrorKind::WouldBlock,
            PipeWriteError::Failed { source } => source.kind(),
            PipeWriteError::ReaderDropped | PipeWriteError::ShutDown | PipeWriteError::NoCredit => {
                io::ErrorKind::BrokenPipe
            }
        };
        Self::new(kind, error)
    }
}
