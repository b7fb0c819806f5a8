//! The error of a request for a resource.

use std::error::Error;
use std::io;
use std::sync::Arc;

use runtime_core::util::{error_sources, is_disk_full};
use runtime_gc::ReserveError;

/// The error of constructing a resource.
///
/// Each waiter of a construction receives a clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequireError {
    /// The constructor returned an error. The next request for the key constructs again.
    #[error("cannot construct `{key}` for the cache `{cache}`")]
    Failed {
        /// The name of the cache.
        cache: Arc<str>,
        /// The key.
        key: Arc<str>,
        /// The error of the constructor.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The constructor panicked, which is a bug in the constructor.
    #[error("the constructor of the cache `{cache}` panicked for `{key}`: {message}")]
    Panicked {
        /// The name of the cache.
        cache: Arc<str>,
        /// The key.
        key: Arc<str>,
        /// The message of the panic.
        message: Arc<str>,
    },
    /// The runtime of the constructor was shut down.
    #[error("construction of `{key}` for the cache `{cache}` cancelled by runtime shutdown")]
    RuntimeShutdown {
        /// The name of the cache.
        cache: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
}

impl RequireError {
    /// Returns the error of the constructor if it is an `E`, for example to decide about a retry.
    #[must_use]
    pub fn cause<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed { source, .. } => source.downcast_ref(),
            Self::Panicked { .. } | Self::RuntimeShutdown { .. } => None,
        }
    }

    /// Returns whether the disk was full. Another worker, or a later request, may succeed.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let Self::Failed { source, .. } = self else {
            return false;
        };
        error_sources(&**source).any(|error| {
            let io = error.downcast_ref::<io::Error>();
            error.is::<ReserveError>() || io.is_some_and(is_disk_full)
        })
    }
}
