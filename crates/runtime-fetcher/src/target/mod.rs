//! Where bytes go.

#[cfg(feature = "unpack")]
mod directory;
mod file;
mod memory;
mod spool;
mod stream;
mod temporary;

#[cfg(feature = "unpack")]
pub use directory::DirectoryTarget;
pub use file::FileTarget;
pub use memory::MemoryTarget;
pub use stream::{FetchStream, StreamBroken, StreamError, fetch_as_stream};

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use runtime_core::BoxError;
use runtime_core::util::is_disk_full;

/// A place for the bytes of one reference.
///
/// A fetch calls [`expect`](Self::expect) if it knows how many bytes there will be, and
/// [`write`](Self::write) with the bytes in order. When it must start over, it calls
/// [`reset`](Self::reset) and then writes from the first byte again; a reset that fails ends the
/// fetch, because a target must never hold the bytes of two attempts. It calls
/// [`commit`](Self::commit) once, after the last byte, when all checks have passed. A target that is
/// dropped without a commit leaves nothing behind.
#[async_trait]
pub trait Target: Send {
    /// Hears how many bytes are about to come, before the first of them. Of a body that is encoded, that is
    /// its length as it travels, so that other numbers may come. By default, it does nothing.
    ///
    /// # Errors
    ///
    /// A [`TargetError`] if there is no place for so many, which ends the fetch.
    ///
    /// # Cancel safety
    ///
    /// Safe: no bytes have come.
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        let _ = bytes;
        Ok(())
    }

    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// A [`TargetError`], which ends the fetch.
    ///
    /// # Cancel safety
    ///
    /// The bytes may or may not be there: reset or drop the target.
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError>;

    /// Forgets all bytes.
    ///
    /// # Errors
    ///
    /// A [`TargetError`], which ends the fetch.
    ///
    /// # Cancel safety
    ///
    /// Some bytes may still be there: reset again or drop the target.
    async fn reset(&mut self) -> Result<(), TargetError>;

    /// Makes the bytes visible: they are complete and verified.
    ///
    /// # Errors
    ///
    /// A [`TargetError`].
    ///
    /// # Cancel safety
    ///
    /// The bytes may or may not be visible; if they are, all of them are.
    async fn commit(&mut self) -> Result<(), TargetError>;
}

/// A target does not take the bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The operating system refuses.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// There are more bytes than the target takes.
    #[error("there are more than the {limit} bytes that are allowed")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// There is no room on the disk, and the collector cannot make it now.
    #[cfg(feature = "cache")]
    #[error(transparent)]
    NoRoom(#[from] runtime_gc::ReserveError),

    /// The bytes are an archive, which is not unpacked.
    #[cfg(feature = "unpack")]
    #[error("cannot unpack it")]
    Archive(#[from] crate::UnpackError),

    /// Whatever stands behind the target failed.
    #[error("the receiver of the bytes failed")]
    Receiver(#[source] BoxError),
}

impl TargetError {
    /// Reports whether the bytes are to blame, and not the target.
    #[must_use]
    pub fn is_contents_fault(&self) -> bool {
        match self {
            Self::TooLarge { .. } => true,
            #[cfg(feature = "unpack")]
            Self::Archive(error) => error.is_archives_fault(),
            _ => false,
        }
    }

    /// Reports whether the target may take the same bytes later, without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            #[cfg(feature = "cache")]
            Self::NoRoom(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Reports whether it is the disk that is too full.
    pub(crate) fn is_disk_full(&self) -> bool {
        match self {
            #[cfg(feature = "cache")]
            Self::NoRoom(_) => true,
            Self::Io { source, .. } => is_disk_full(source),
            _ => false,
        }
    }
}
