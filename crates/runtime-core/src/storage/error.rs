//! The error of opening a storage.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The error of opening a [`TemporaryStorage`](super::TemporaryStorage).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStorageError {
    /// The root is not a writable folder.
    #[error("cannot keep temporary files in `{}`; is it a folder that this user may write?", root.display())]
    Unusable {
        /// The root.
        root: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// Another process holds the lock of the root.
    #[error(
        "cannot keep temporary files in `{0}`: another process has held the lock `{0}/.lock` for {1} s; \
         end the worker that hangs during its start, or choose another folder",
        root.display(), waited.as_secs_f64()
    )]
    Locked {
        /// The root.
        root: PathBuf,
        /// The time spent waiting for the lock.
        waited: Duration,
    },
}
