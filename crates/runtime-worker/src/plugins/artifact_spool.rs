//! Copies of remote files, for their upload.

use std::io;

use runtime_core::{ReserveStorageError, StorageReservation, TemporaryFile, TemporaryStorage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::engine::RemoteFile;

/// The disk space that is reserved at once, in bytes. The length of a remote file is unknown until its end.
const RESERVED_BYTES: u64 = 16 << 20;

/// The reason why a file has no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// The task has no such file, or does not let anybody read it.
    #[error("cannot open the file")]
    Refused(#[source] io::Error),
    /// The engine failed.
    #[error("the engine cannot open the file")]
    Open(#[source] io::Error),
    /// The engine or the disk failed.
    #[error("cannot copy the file from the engine to the storage of the worker")]
    Copy(#[from] io::Error),
    /// The storage is full.
    #[error("cannot copy the file to the storage of the worker")]
    Reserve(#[from] ReserveStorageError),
}

/// A copy in the worker's storage. It is removed on drop.
///
/// An upload needs length and hashes before the first byte, and reads the file again for each attempt.
pub(super) struct SpooledFile {
    pub(super) file: TemporaryFile<tokio::fs::File>,
    _reserved: Vec<StorageReservation>,
}

impl SpooledFile {
    /// The number of copies at the same time.
    pub(super) const MAX_COPIES: usize = 4;

    /// Copies a file. The copy is removed if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`CopyError::Refused`] for an error of [`RemoteFile::open`] whose reason is the task; other errors are of the
    /// engine or of the storage.
    pub(super) async fn copy(
        remote: &dyn RemoteFile,
        storage: &TemporaryStorage,
    ) -> Result<Self, CopyError> {
        let mut reader = remote.open().await.map_err(|error| {
            if is_of_task(error.kind()) {
                CopyError::Refused(error)
            } else {
                CopyError::Open(error)
            }
        })?;
        let mut file = storage.new_file("artifact")?.into_async();
        let mut reserved = Vec::new();
        loop {
            // In parts: the length of a remote file is unknown, and the file may grow while it is
            // copied.
            let mut reservation = storage.reserve(RESERVED_BYTES)?;
            let mut part = (&mut reader).take(RESERVED_BYTES);
            let copied = tokio::io::copy(&mut part, &mut file).await?;
            reservation.record_written(copied);
            reserved.push(reservation);
            if copied < RESERVED_BYTES {
                break;
            }
        }
        file.flush().await?;
        Ok(Self {
            file,
            _reserved: reserved,
        })
    }
}

/// Returns whether an error of [`RemoteFile::open`] tells about the file, and not about the transfer.
fn is_of_task(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
    };
    matches!(
        kind,
        NotFound | PermissionDenied | IsADirectory | NotADirectory | InvalidInput | InvalidFilename
    )
}
