//! The error of [`FetchCache::require`](super::FetchCache::require).

use std::error::Error;
use std::fmt;

use runtime_caching::RequireError;
use runtime_core::{ExceptionReason, MalformedPayloadError, TaskError, error_chain};

use crate::error::FetchError;
use crate::required_scopes::RequiredScopes;

/// The reason a task does not get an input.
///
/// If the fetch failed, message and source are those of the [`fetch_error`](Self::fetch_error): the cache in between means
/// nothing to the author of the task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FetchCacheError {
    /// The task lacks the scopes of the reference.
    Scopes {
        /// The subject of the reference.
        subject: String,
        /// The required scopes.
        required: RequiredScopes,
    },

    /// The fetch failed. Every caller with the same source that waited for it gets this error.
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

impl fmt::Display for FetchCacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.fetch_error()) {
            (Self::Scopes { subject, required }, _) => {
                write!(f, "`task.scopes` lacks {required} for {subject}")
            }
            (Self::Fetch { .. }, Some(error)) => error.fmt(f),
            (Self::Fetch { subject, .. }, None) => write!(f, "cannot provide {subject}"),
        }
    }
}

impl Error for FetchCacheError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match (self, self.fetch_error()) {
            (Self::Scopes { .. }, _) => None,
            (Self::Fetch { .. }, Some(error)) => error.source(),
            (Self::Fetch { source, .. }, None) => Some(source),
        }
    }
}

impl From<FetchCacheError> for TaskError {
    fn from(error: FetchCacheError) -> Self {
        match error.exception_reason() {
            ExceptionReason::MalformedPayload => {
                MalformedPayloadError::new(error_chain(&error)).into()
            }
            ExceptionReason::ResourceUnavailable => Self::unavailable(error),
            _ => Self::other(error),
        }
    }
}
