//! Errors of engines and plugins, and what each does to the task and to the worker.

use std::error::Error;

use crate::ExceptionReason;

/// An error of the user's own making: an engine's, a plugin's, a constructor's, a handler's.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why an engine or a plugin could not do its part for a task.
///
/// | variant | the task resolves | the worker |
/// | --- | --- | --- |
/// | [`MalformedPayload`](Self::MalformedPayload) | `malformed-payload`, each message in the task log | goes on |
/// | [`ResourceUnavailable`](Self::ResourceUnavailable) | `resource-unavailable`, the message in the task log | goes on |
/// | [`NonFatalInternal`](Self::NonFatalInternal) | `internal-error` | goes on, and counts it |
/// | [`FatalInternal`](Self::FatalInternal) | `internal-error` | stops gracefully |
/// | [`Other`](Self::Other) | `internal-error` | reports it to the monitor and goes on |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The task's author asked for something that cannot be done.
    #[error(transparent)]
    MalformedPayload(#[from] MalformedPayloadError),

    /// Something that the task needs could not be had, though the payload is right.
    #[error("a resource that the task needs is unavailable")]
    ResourceUnavailable(#[source] BoxError),

    /// The worker failed in a way that says nothing about the next task; already reported to the monitor.
    #[error("internal error, already reported; the worker can go on")]
    NonFatalInternal,

    /// The worker failed and should run nothing more; already reported to the monitor.
    #[error("fatal internal error, already reported; the worker must stop")]
    FatalInternal,

    /// Any other error. The worker reports it to the monitor and names its incident in the task log.
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

    /// The messages for the task's author, if it was their payload.
    #[must_use]
    pub fn as_malformed_payload(&self) -> Option<&MalformedPayloadError> {
        match self {
            Self::MalformedPayload(error) => Some(error),
            _ => None,
        }
    }

    /// The reason to report to the queue.
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

/// The task asked for something that cannot be, with one message for each thing that is wrong.
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
    /// Makes an error with one message, written for the author of the task.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            messages: vec![message.into()],
        }
    }

    /// Joins many errors into one, or none if there are none.
    pub fn merge(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let messages: Vec<_> = errors
            .into_iter()
            .flat_map(|error| error.messages)
            .collect();
        (!messages.is_empty()).then_some(Self { messages })
    }

    /// The messages, at least one.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }
}

/// Writes an error and its causes as one line, `a: b: c`.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Transparent wrappers repeat their cause; saying it twice helps nobody.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
