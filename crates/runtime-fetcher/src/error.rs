//! The error of a fetch, and what it does to the task.

use std::time::Duration;

use runtime_core::{ApiError, ExceptionReason, MalformedPayloadError, TaskError, error_chain};

use crate::cause::Blame;
use crate::{AttemptError, InvalidReference, TargetError};

/// A reference could not be brought into its target.
///
/// | variant | the task resolves |
/// | --- | --- |
/// | [`Invalid`](Self::Invalid), [`Broken`](Self::Broken) | `malformed-payload` |
/// | [`Exhausted`](Self::Exhausted) | `resource-unavailable` |
/// | [`Target`](Self::Target) | `malformed-payload` if the bytes are to blame, `resource-unavailable` if the disk is full, else `internal-error` |
/// | [`Worker`](Self::Worker) | `internal-error` |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The reference is not one.
    #[error(transparent)]
    Invalid(#[from] InvalidReference),

    /// There is nothing behind the reference, or not what it says: its author must change it.
    #[error("cannot fetch {subject}: the reference is broken")]
    Broken {
        /// What was to be fetched.
        subject: String,
        /// How many requests were made.
        attempts: u32,
        /// What is wrong.
        source: AttemptError,
    },

    /// Every attempt failed in a way that may pass.
    #[error("cannot fetch {subject}: gave up after {attempts} attempts in {elapsed:.1?}")]
    Exhausted {
        /// What was to be fetched.
        subject: String,
        /// How many requests were made.
        attempts: u32,
        /// How long it took.
        elapsed: Duration,
        /// What was wrong the last time.
        source: AttemptError,
    },

    /// The bytes could not be put where they should go.
    #[error("cannot store {subject}")]
    Target {
        /// What was to be fetched.
        subject: String,
        /// What is wrong with the target.
        source: TargetError,
    },

    /// The worker cannot ask for the bytes.
    #[error("cannot ask for {subject}")]
    Worker {
        /// What was to be fetched.
        subject: String,
        /// What is wrong.
        source: AttemptError,
    },
}

impl FetchError {
    /// Makes the error of a look-up that took some time. The service's client has tried it more than once.
    pub(crate) fn of_look_up(subject: String, elapsed: Duration, source: AttemptError) -> Self {
        let attempts = match &source {
            AttemptError::Api(ApiError::Unreachable { attempts, .. }) => *attempts,
            _ => 1,
        };
        Self::after(subject, attempts, elapsed, source)
    }

    /// Makes the error of a fetch that ended after `attempts` with `source`.
    pub(crate) fn after(
        subject: String,
        attempts: u32,
        elapsed: Duration,
        source: AttemptError,
    ) -> Self {
        match source.blame() {
            Blame::Reference | Blame::Content => Self::Broken {
                subject,
                attempts,
                source,
            },
            Blame::Circumstances => Self::Exhausted {
                subject,
                attempts,
                elapsed,
                source,
            },
            Blame::Worker => Self::Worker { subject, source },
        }
    }

    /// Reports whether the same fetch may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Exhausted { .. } => true,
            Self::Target { source, .. } => source.is_transient(),
            Self::Invalid(_) | Self::Broken { .. } | Self::Worker { .. } => false,
        }
    }

    /// Reports whether the author of the reference must change it.
    #[must_use]
    pub fn is_broken_reference(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Broken { .. } => true,
            Self::Target { source, .. } => source.is_contents_fault(),
            Self::Exhausted { .. } | Self::Worker { .. } => false,
        }
    }

    /// The reason with which a task ends that cannot go on without the bytes.
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
    fn a_look_up_without_an_answer_tells_how_often_and_how_long_it_was_tried() {
        let unreachable = ApiError::Unreachable {
            method: "queue.status",
            attempts: 7,
            source: "connection refused".into(),
        };
        let elapsed = Duration::from_secs(90);
        let error = FetchError::of_look_up("artifact `a`".to_owned(), elapsed, unreachable.into());
        assert!(error.is_transient(), "{error:?}");
        let text = error_chain(&error);
        let expected = "cannot fetch artifact `a`: gave up after 7 attempts in 90.0s: ";
        assert!(text.starts_with(expected), "{text}");
    }
}
