//! The trait [`Target`], a destination for fetched bytes, and its error.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use runtime_core::BoxError;
use runtime_core::util::is_disk_full;

/// A destination for the bytes of one reference.
///
/// A fetch calls [`reset`](Self::reset) before each pass, including the first, then [`expect`](Self::expect) if the
/// length is known, then [`write`](Self::write) with the bytes in order. A failed reset ends the fetch, because a
/// target must never mix the bytes of two passes. After the last byte, when all hashes are
/// verified, it calls [`commit`](Self::commit) once. A target that is dropped without a commit leaves nothing
/// behind.
#[async_trait]
pub trait Target: Send {
    /// Announces the number of bytes before the first write. Does nothing by default.
    ///
    /// For an encoded body this is the encoded length, so that the number of written bytes differs.
    ///
    /// # Errors
    ///
    /// A [`TargetError`] if the target has no space for the bytes; it ends the fetch.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing has been written.
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        let _ = bytes;
        Ok(())
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// A [`TargetError`], which ends the fetch.
    ///
    /// # Cancel safety
    ///
    /// Some of the bytes may have been appended: reset or drop the target.
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError>;

    /// Discards all bytes.
    ///
    /// # Errors
    ///
    /// A [`TargetError`], which ends the fetch.
    ///
    /// # Cancel safety
    ///
    /// Some bytes may remain: reset again or drop the target.
    async fn reset(&mut self) -> Result<(), TargetError>;

    /// Publishes the bytes, which are complete and verified.
    ///
    /// # Errors
    ///
    /// A [`TargetError`].
    ///
    /// # Cancel safety
    ///
    /// Either all bytes are published or none.
    async fn commit(&mut self) -> Result<(), TargetError>;
}

/// The reason a target failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// The operation, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The bytes exceed the limit of the target.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// The disk is too full, and the collector cannot free enough space now.
    #[cfg(feature = "cache")]
    #[error(transparent)]
    NoDiskSpace(#[from] runtime_gc::ReserveError),

    /// The bytes are an archive that was rejected.
    #[cfg(feature = "unpack")]
    #[error("cannot unpack the archive")]
    Archive(#[from] crate::unpack::UnpackError),

    /// The consumer of the bytes failed.
    #[error("the consumer of the bytes failed")]
    Receiver(#[source] BoxError),
}

impl TargetError {
    /// Returns whether the bytes themselves are unusable: too large, or an invalid archive.
    #[must_use]
    pub fn is_content_error(&self) -> bool {
        match self {
            Self::TooLarge { .. } => true,
            #[cfg(feature = "unpack")]
            Self::Archive(error) => error.is_invalid_archive(),
            _ => false,
        }
    }

    /// Returns whether the same bytes may fit later without intervention.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            #[cfg(feature = "cache")]
            Self::NoDiskSpace(error) => error.is_transient(),
            _ => false,
        }
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        match self {
            #[cfg(feature = "cache")]
            Self::NoDiskSpace(_) => true,
            Self::Io { source, .. } => is_disk_full(source),
            _ => false,
        }
    }
}
