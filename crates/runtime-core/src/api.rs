//! The error that every call to a service of the deployment may give.

use crate::BoxError;

/// A call to a Taskcluster service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The service answered, and the answer is a refusal.
    #[error("{0}")]
    Service(ServiceError),

    /// No answer came within the time for retries.
    #[error("no answer to {method} after {attempts} attempts; is the deployment reachable?")]
    Unreachable {
        /// The name of the API method, such as `queue.claimWork`.
        method: &'static str,
        /// How often the request was sent or tried to be sent.
        attempts: u32,
        /// What the transport said at the last attempt.
        source: BoxError,
    },

    /// An answer came and could not be understood.
    #[error("{method} answered something that is not what its schema says")]
    Unexpected {
        /// The name of the API method.
        method: &'static str,
        /// What is wrong with the answer.
        source: BoxError,
    },

    /// The request could not be made or signed.
    #[error("cannot make a request to {method}")]
    Request {
        /// The name of the API method.
        method: &'static str,
        /// What is wrong.
        source: BoxError,
    },

    /// There is no service behind this port: nobody connected one.
    #[error("{method} was called, but this task context is connected to no deployment")]
    NotConnected {
        /// The name of the API method.
        method: &'static str,
    },
}

/// A refusal of a service, in the shape that all Taskcluster services share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} answered {status} {code}: {message} (request {})", request_id.as_deref().unwrap_or("unknown"))]
#[non_exhaustive]
pub struct ServiceError {
    /// The name of the API method, such as `queue.claimWork`.
    pub method: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The code, such as `RequestConflict`; `unknown` when the answer came from something else than a service.
    pub code: String,
    /// The message, without the trailer that repeats method, code, status and time.
    pub message: String,
    /// `x-for-request-id` of the answer.
    pub request_id: Option<String>,
    /// `x-for-trace-id` of the answer.
    pub trace_id: Option<String>,
}

impl ServiceError {
    /// Makes a refusal that carries no request id, as mocks do.
    pub fn new(
        method: &'static str,
        status: u16,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            method,
            status,
            code: code.into(),
            message: message.into(),
            request_id: None,
            trace_id: None,
        }
    }
}

impl ApiError {
    /// The HTTP status, if a service answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Service(error) => Some(error.status),
            _ => None,
        }
    }

    /// Reports whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service(error) => matches!(error.status, 408 | 425 | 429 | 500..=599),
            Self::Unreachable { .. } => true,
            Self::Unexpected { .. } | Self::Request { .. } | Self::NotConnected { .. } => false,
        }
    }

    /// Reports whether the state of the task forbids the call: somebody else resolved the run.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Reports whether what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}
