//! The error of a fetch, and how the task resolves because of it.

use std::time::Duration;

use runtime_core::{ApiError, ExceptionReason, MalformedPayloadError, TaskError, error_chain};

use crate::attempt_error::{AttemptError, ErrorClass};
use crate::invalid_reference::InvalidReference;
use crate::target::TargetError;

/// The reason a reference could not be fetched into its target.
///
/// | variant | the task resolves |
/// | --- | --- |
/// | [`Invalid`](Self::Invalid), [`Broken`](Self::Broken) | `malformed-payload` |
/// | [`Exhausted`](Self::Exhausted) | `resource-unavailable` |
/// | [`Target`](Self::Target) | `malformed-payload` for unusable content, `resource-unavailable` for a full disk, else `internal-error` |
/// | [`Worker`](Self::Worker) | `internal-error` |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The reference does not match the schema.
    #[error(transparent)]
    Invalid(#[from] InvalidReference),

    /// The reference names nothing, or other bytes than it promises; its author has to change it.
    #[error("cannot fetch {subject}: broken reference")]
    Broken {
        /// The subject of the reference.
        subject: String,
        /// The number of requests.
        attempts: u32,
        /// The error of the last attempt.
        source: AttemptError,
    },

    /// Every attempt failed with a transient error. The reference may be right: in Go, it counts as broken.
    #[error("cannot fetch {subject}: gave up after {attempts} attempts in {elapsed:.1?}")]
    Exhausted {
        /// The subject of the reference.
        subject: String,
        /// The number of requests.
        attempts: u32,
        /// The time since the fetch started.
        elapsed: Duration,
        /// The error of the last attempt.
        source: AttemptError,
    },

    /// The target failed.
    #[error("cannot store {subject}")]
    Target {
        /// The subject of the reference.
        subject: String,
        /// The error of the target.
        source: TargetError,
    },

    /// The worker cannot request the bytes, for example because its credentials are rejected.
    #[error("cannot request {subject}")]
    Worker {
        /// The subject of the reference.
        subject: String,
        /// The error of the last attempt.
        source: AttemptError,
    },
}

impl FetchError {
    /// Creates the error of a failed lookup. The client of the service has made its own retries.
    pub(crate) fn lookup(subject: String, elapsed: Duration, source: AttemptError) -> Self {
        let attempts = match &source {
            AttemptError::Api(ApiError::Unreachable { attempts, .. }) => *attempts,
            _ => 1,
        };
        Self::after_attempts(subject, attempts, elapsed, source)
    }

    /// Creates the error of a fetch whose last attempt failed with `source`.
    pub(crate) fn after_attempts(
        subject: String,
        attempts: u32,
        elapsed: Duration,
        source: AttemptError,
    ) -> Self {
        match source.class() {
            // A corrupt body was retried before: the reference names the wrong hash, or the server has other bytes.
            ErrorClass::Reference | ErrorClass::CorruptBody => Self::Broken {
                subject,
                attempts,
                source,
            },
            ErrorClass::Transient => Self::Exhausted {
                subject,
                attempts,
                elapsed,
                source,
            },
            ErrorClass::Worker => Self::Worker { subject, source },
        }
    }

    /// Returns whether the same fetch may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Exhausted { .. } => true,
            Self::Target { source, .. } => source.is_transient(),
            Self::Invalid(_) | Self::Broken { .. } | Self::Worker { .. } => false,
        }
    }

    /// Returns whether the author of the reference has to change it.
    #[must_use]
    pub fn is_broken_reference(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Broken { .. } => true,
            Self::Target { source, .. } => source.is_content_error(),
            Self::Exhausted { .. } | Self::Worker { .. } => false,
        }
    }

    /// Returns the reason to resolve a task with that cannot continue without the bytes.
    #[must_use]
    pub fn exception_reason(&self) -> ExceptionReason {
        match self {
            _ if self.is_broken_reference() => ExceptionReason::MalformedPayload,
            Self::Exhausted { .. } => ExceptionReason::ResourceUnavailable,
            Self::Target { source, .. } if source.is_disk_full() => {
                ExceptionReason::ResourceUnavailable
            }
            _ => ExceptionReason::InternalError,
        }
    }
}

impl From<FetchError> for TaskError {
    fn from(error: FetchError) -> Self {
        match error.exception_reason() {
            ExceptionReason::MalformedPayload => {
                MalformedPayloadError::new(error_chain(&error)).into()
            }
            ExceptionReason::ResourceUnavailable => Self::unavailable(error),
            _ => Self::other(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_lookup_reports_attempts_and_duration() {
        let unreachable = ApiError::Unreachable {
            method: "queue.status",
            attempts: 7,
            source: "connection refused".into(),
        };
        let elapsed = Duration::from_secs(90);
        let error = FetchError::lookup("artifact `a`".to_owned(), elapsed, unreachable.into());
        assert!(error.is_transient(), "{error:?}");
        let text = error_chain(&error);
        let expected = "cannot fetch artifact `a`: gave up after 7 attempts in 90.0s: ";
        assert!(text.starts_with(expected), "{text}");
    }
}
