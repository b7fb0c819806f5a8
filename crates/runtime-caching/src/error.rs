//! Why nothing was handed out.

use std::error::Error;
use std::sync::Arc;

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
    CutOff {
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
            Self::Panicked { .. } | Self::CutOff { .. } => None,
        }
    }
}
