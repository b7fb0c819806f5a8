//! Why there is no input.

use runtime_caching::RequireError;
use runtime_core::{ExceptionReason, MalformedPayloadError, TaskError, error_chain};

use crate::{FetchError, RequiredScopes};

/// An input is not handed out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchCacheError {
    /// The task may not have it.
    #[error("`task.scopes` lacks {required} for {subject}")]
    Scopes {
        /// What was wanted.
        subject: String,
        /// What the task would need.
        required: RequiredScopes,
    },

    /// It could not be fetched, by whoever asked for it first.
    #[error("there is no input from {subject}")]
    Fetch {
        /// What was wanted.
        subject: String,
        /// What went wrong; [`fetch_error`](FetchCacheError::fetch_error) is within.
        source: RequireError,
    },
}

impl FetchCacheError {
    /// What the fetch said, if there was one.
    #[must_use]
    pub fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Fetch { source, .. } => source.cause(),
            Self::Scopes { .. } => None,
        }
    }

    /// Reports whether the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.fetch_error().is_some_and(FetchError::is_transient)
    }

    /// The reason with which a task ends that cannot go on without the input.
    #[must_use]
    pub fn exception_reason(&self) -> ExceptionReason {
        match self {
            Self::Scopes { .. } => ExceptionReason::MalformedPayload,
            Self::Fetch { source, .. } => match self.fetch_error() {
                Some(error) => error.exception_reason(),
                // The cache could not make a folder for it.
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
