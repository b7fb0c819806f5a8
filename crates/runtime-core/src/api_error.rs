//! The error of a call to a Taskcluster service.

use crate::error::BoxError;
use crate::util::is_transient_status;

/// The error of a call to a Taskcluster service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The service refused the call.
    #[error("{0}")]
    Service(ServiceError),

    /// No response arrived before the retry budget was used up.
    #[error("no response to {method} after {attempts} attempts; is the deployment reachable?")]
    Unreachable {
        /// The name of the API method, such as `queue.claimWork`.
        method: &'static str,
        /// The number of attempts.
        attempts: u32,
        /// The transport error of the last attempt.
        source: BoxError,
    },

    /// The certificate of the server is not trusted, or the server does not speak TLS.
    #[error(
        "cannot call {method}: no secure connection to the deployment; check the root URL, the clock of this machine \
         and its CA certificates"
    )]
    Tls {
        /// The name of the API method.
        method: &'static str,
        /// The transport error.
        source: BoxError,
    },

    /// The response does not match the schema.
    #[error("unexpected response to {method}")]
    Unexpected {
        /// The name of the API method.
        method: &'static str,
        /// The parse error.
        source: BoxError,
    },

    /// The request could not be created or signed.
    #[error("cannot create a request to {method}")]
    Request {
        /// The name of the API method.
        method: &'static str,
        /// The cause.
        source: BoxError,
    },

    /// The call was made on [disconnected services](crate::Services::disconnected).
    #[error("cannot call {method}: this task context is not connected to a deployment")]
    NotConnected {
        /// The name of the API method.
        method: &'static str,
    },
}

/// An error response, in the format that all Taskcluster services share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} returned {status} {code}: {message} (request {})", request_id.as_deref().unwrap_or("unknown"))]
#[non_exhaustive]
pub struct ServiceError {
    /// The name of the API method, such as `queue.claimWork`.
    pub method: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The error code, such as `RequestConflict`; `unknown` if the response is not in the format of
    /// Taskcluster.
    pub code: String,
    /// The message, without the trailer that repeats method, code, status and time.
    pub message: String,
    /// The response header `x-for-request-id`.
    pub request_id: Option<String>,
    /// The response header `x-for-trace-id`.
    pub trace_id: Option<String>,
}

impl ServiceError {
    /// Creates an error without a request id, for mocks.
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
    /// Returns the HTTP status, if a service responded.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Service(error) => Some(error.status),
            _ => None,
        }
    }

    /// Returns whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service(error) => is_transient_status(error.status),
            Self::Unreachable { .. } => true,
            Self::Tls { .. }
            | Self::Unexpected { .. }
            | Self::Request { .. }
            | Self::NotConnected { .. } => false,
        }
    }

    /// Returns whether the call conflicts with the state of the entity, such as a run that is already
    /// resolved.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Returns whether the requested entity does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}
