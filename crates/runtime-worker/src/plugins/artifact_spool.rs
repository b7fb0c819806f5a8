//! Copies of remote files, for their upload.

use std::io;

use runtime_core::{StorageReservation, TemporaryFile, TemporaryStorage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::engine::RemoteFile;

/// The disk space that is reserved at once, in bytes. The length of a remote file is unknown until its end.
const RESERVED_BYTES: u64 = 16 << 20;

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
    /// The error of the transfer or of the disk, or of the quota of the storage.
    pub(super) async fn copy(
        remote: &dyn RemoteFile,
        storage: &TemporaryStorage,
    ) -> io::Result<Self> {
        let mut reader = remote.open().await?;
        let mut file = storage.new_file("artifact")?.into_async();
        let mut reserved = Vec::new();
        loop {
            // In parts: the length of a remote file is unknown, and the file may grow while it is
            // copied.
            let reservation = storage.reserve(RESERVED_BYTES);
            let mut reservation = reservation.map_err(io::Error::other)?;
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
