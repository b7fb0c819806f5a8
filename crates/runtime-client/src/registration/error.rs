//! The error of a registration.

use std::io;
use std::path::PathBuf;

use runtime_core::ApiError;

/// An error while registering a worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The worker manager refused the registration or is unreachable.
    #[error("cannot register the worker; check worker pool, provider and proof")]
    Refused(#[from] ApiError),

    /// The state file could not be written, so the credentials of the first registration must not be used: without the
    /// stored secret, the worker could not register again after a restart.
    #[error("cannot write the state of the registration to `{}`", file.display())]
    StateFile {
        /// The state file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl RegisterError {
    /// Returns whether the same registration may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_transient(),
            Self::StateFile { .. } => true,
        }
    }
}
