//! Errors of engines and plugins, and their effect on task and worker.

use std::error::Error;

use crate::exception::ExceptionReason;

/// An error of a type that this crate does not know, such as one of an engine or a handler.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// The failure of an engine or a plugin.
///
/// | variant | resolution of the run | effect on the worker |
/// | --- | --- | --- |
/// | [`MalformedPayload`](Self::MalformedPayload) | `malformed-payload`, each message in the task log | none |
/// | [`ResourceUnavailable`](Self::ResourceUnavailable) | `resource-unavailable`, the message in the task log | none |
/// | [`NonFatalInternal`](Self::NonFatalInternal) | `internal-error` | none: already reported |
/// | [`FatalInternal`](Self::FatalInternal) | `internal-error` | stops gracefully |
/// | [`Other`](Self::Other) | `internal-error` | none; it is reported to the monitor |
///
/// A worker stops gracefully after a number of consecutive runs that end with `internal-error`, 5 by default. Thus
/// an error of an unknown type stops the worker only if it recurs. With `max_consecutive_internal_errors(Some(1))`
/// of the worker's builder, `maxConsecutiveInternalErrors: 1` in its configuration, or the plugin `StopOnError`,
/// the first one stops the worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The payload asks for something that is impossible.
    #[error(transparent)]
    MalformedPayload(#[from] MalformedPayloadError),

    /// A resource that the task needs is unavailable, although the payload is valid.
    #[error("a resource that the task needs is unavailable")]
    ResourceUnavailable(#[source] BoxError),

    /// An error of the worker that does not affect later tasks; already reported to the monitor.
    #[error("internal error, already reported; the worker can continue")]
    NonFatalInternal,

    /// An error of the worker that affects later tasks; already reported to the monitor.
    #[error("fatal internal error, already reported; the worker must stop")]
    FatalInternal,

    /// Any other error. The worker reports it to the monitor and writes the incident id to the task log.
    #[error("unexpected error")]
    Other(#[source] BoxError),
}

impl TaskError {
    /// Wraps any error as [`TaskError::Other`].
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into())
    }

    /// Wraps any error as [`TaskError::ResourceUnavailable`].
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::ResourceUnavailable(error.into())
    }

    /// Returns the messages for the task's author, if the payload was malformed.
    #[must_use]
    pub fn as_malformed_payload(&self) -> Option<&MalformedPayloadError> {
        match self {
            Self::MalformedPayload(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the reason to report to the queue.
    #[must_use]
    pub fn exception_reason(&self) -> ExceptionReason {
        match self {
            Self::MalformedPayload(_) => ExceptionReason::MalformedPayload,
            Self::ResourceUnavailable(_) => ExceptionReason::ResourceUnavailable,
            Self::NonFatalInternal | Self::FatalInternal | Self::Other(_) => {
                ExceptionReason::InternalError
            }
        }
    }
}

/// The error of a malformed payload, with one or more messages for the task's author.
///
/// ```
/// # use runtime_core::MalformedPayloadError;
/// let a = MalformedPayloadError::new("`/command`: expected an array of strings");
/// let b = MalformedPayloadError::new("`/maxRunTime`: expected a number of seconds");
/// let both = MalformedPayloadError::merge([a, b]).expect("there were two");
/// assert_eq!(both.messages().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed payload: {}", messages.join("; "))]
pub struct MalformedPayloadError {
    messages: Vec<String>,
}

impl MalformedPayloadError {
    /// Creates an error with one message for the task's author.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            messages: vec![message.into()],
        }
    }

    /// Merges the messages of several errors, in their order; `None` if there are no errors.
    pub fn merge(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let messages: Vec<_> = errors
            .into_iter()
            .flat_map(|error| error.messages)
            .collect();
        (!messages.is_empty()).then_some(Self { messages })
    }

    /// Returns the messages, at least one.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }
}
