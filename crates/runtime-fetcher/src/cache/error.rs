//! The error of [`FetchCache::require`](super::FetchCache::require).

use runtime_caching::RequireError;
use runtime_core::{ExceptionReason, MalformedPayloadError, TaskError, error_chain};

use crate::error::FetchError;
use crate::required_scopes::RequiredScopes;

/// The reason a task does not get an input.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchCacheError {
    /// The task lacks the scopes of the reference.
    #[error("`task.scopes` lacks {required} for {subject}")]
    Scopes {
        /// The subject of the reference.
        subject: String,
        /// The required scopes.
        required: RequiredScopes,
    },

    /// The fetch failed. Every caller that waited for it gets this error.
    #[error("cannot provide {subject}")]
    Fetch {
        /// The subject of the reference.
        subject: String,
        /// The error of the cache, which holds the [`fetch_error`](FetchCacheError::fetch_error).
        source: RequireError,
    },
}

impl FetchCacheError {
    /// Returns the error of the fetch, if there was a fetch.
    #[must_use]
    pub fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Fetch { source, .. } => source.cause(),
            Self::Scopes { .. } => None,
        }
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.fetch_error().is_some_and(FetchError::is_transient)
    }

    /// Returns the reason to resolve a task with that cannot continue without the input.
    #[must_use]
    pub fn exception_reason(&self) -> ExceptionReason {
        match self {
            Self::Scopes { .. } => ExceptionReason::MalformedPayload,
            Self::Fetch { source, .. } => match self.fetch_error() {
                Some(error) => error.exception_reason(),
                // The cache could not create the folder of the input.
                None if source.is_disk_full() => ExceptionReason::ResourceUnavailable,
                None => ExceptionReason::InternalError,
            },
        }
    }
}

impl From<FetchCacheError> for TaskError {
    fn from(error: FetchCacheError) -> Self {
        match error.exception_reason() {
            ExceptionReason::MalformedPayload => {
                let text = error
                    .fetch_error()
                    .map_or_else(|| error.to_string(), |error| error_chain(error));
                MalformedPayloadError::new(text).into()
            }
            ExceptionReason::ResourceUnavailable => Self::unavailable(error),
            _ => Self::other(error),
        }
    }
}
