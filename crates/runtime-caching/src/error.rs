//! Why nothing was handed out.

use std::error::Error;
use std::io;
use std::sync::Arc;

use runtime_core::util::is_disk_full;
use runtime_gc::ReserveError;

/// A resource could not be made.
///
/// Everybody who waited for the same construction gets a clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequireError {
    /// The constructor failed. It is asked again by the next who requires the key.
    #[error("cannot make `{key}` for the cache `{cache}`")]
    Failed {
        /// The cache's name.
        cache: Arc<str>,
        /// The key.
        key: Arc<str>,
        /// The constructor's own error.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The constructor panicked.
    #[error(
        "the constructor of the cache `{cache}` panicked for `{key}`: {message}; this is a bug in it"
    )]
    Panicked {
        /// The cache's name.
        cache: Arc<str>,
        /// The key.
        key: Arc<str>,
        /// What it said.
        message: Arc<str>,
    },
    /// The runtime that the constructor ran on was shut down.
    #[error(
        "the construction of `{key}` for the cache `{cache}` was cut off, because its runtime ended"
    )]
    RuntimeShutdown {
        /// The cache's name.
        cache: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
}

impl RequireError {
    /// The constructor's own error, if it is an `E`: to ask it whether trying again helps.
    #[must_use]
    pub fn cause<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed { source, .. } => source.downcast_ref(),
            Self::Panicked { .. } | Self::RuntimeShutdown { .. } => None,
        }
    }

    /// Whether there was no room for it on a disk: another worker, or this one later, may have some.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let Self::Failed { source, .. } = self else {
            return false;
        };
        let mut cause: Option<&(dyn Error + 'static)> = Some(&**source);
        while let Some(error) = cause {
            let io = error.downcast_ref::<io::Error>();
            if error.is::<ReserveError>() || io.is_some_and(is_disk_full) {
                return true;
            }
            cause = error.source();
        }
        false
    }
}
