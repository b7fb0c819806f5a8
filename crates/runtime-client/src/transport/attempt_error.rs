//! The error of a single attempt, and whether another attempt may follow.

use std::time::Duration;

use runtime_core::util::is_transient_status;
use runtime_core::{ApiError, BoxError, ServiceError};
use runtime_http::{reqwest, tls_failure};

use super::call::{Call, Idempotence};

/// An error of one attempt.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// The service returned an error response.
    Refused {
        error: Box<ServiceError>,
        retry_after: Option<Duration>,
    },
    /// No connection was opened, so the service cannot have received the request.
    NotSent(BoxError),
    /// The TLS handshake failed, as it will again.
    Tls(BoxError),
    /// The request may have been received, but there is no complete response.
    NoResponse(BoxError),
    /// The request could not be built or signed.
    InvalidRequest(ApiError),
}

/// The reaction to the error of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Return the error.
    Fail,
    /// Retry, at the earliest after the given delay.
    Retry { min_delay: Option<Duration> },
    /// Retry with other credentials.
    ReplaceCredentials,
}

impl AttemptError {
    /// Classifies an error of the HTTP client by whether the service can have received the request.
    pub(super) fn from_transport(call: &Call, error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_builder() {
            Self::InvalidRequest(call.invalid_request(error))
        } else if tls_failure(&error).is_some_and(|failure| failure.is_permanent) {
            Self::Tls(error.into())
        } else if error.is_connect() {
            // Includes other failed TLS handshakes, which precede the request.
            Self::NotSent(error.into())
        } else {
            // Even a connection that breaks while the request is written: the rest may be in a buffer of a proxy.
            Self::NoResponse(error.into())
        }
    }

    /// Decides whether to retry `call`.
    pub(super) fn decide(&self, call: &Call) -> RetryDecision {
        match self {
            _ if call.idempotence == Idempotence::SingleAttempt => RetryDecision::Fail,
            // Not a matter of idempotence: a request with refused credentials had no effect.
            Self::Refused { error, .. } if error.status == 401 => RetryDecision::ReplaceCredentials,
            Self::Refused { error, retry_after }
                if may_repeat(call, error.status, retry_after.is_some()) =>
            {
                RetryDecision::Retry {
                    min_delay: *retry_after,
                }
            }
            Self::NotSent(_) => RetryDecision::Retry { min_delay: None },
            Self::NoResponse(_) if call.idempotence == Idempotence::Idempotent => {
                RetryDecision::Retry { min_delay: None }
            }
            _ => RetryDecision::Fail,
        }
    }

    /// Returns whether the service refused the credentials.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if error.status == 401)
    }

    pub(super) fn into_api_error(self, call: &Call, attempts: u32) -> ApiError {
        match self {
            Self::Refused { error, .. } => ApiError::Service(*error),
            Self::Tls(source) => ApiError::Tls {
                method: call.api_method,
                source,
            },
            Self::NotSent(source) | Self::NoResponse(source) => ApiError::Unreachable {
                method: call.api_method,
                attempts,
                source,
            },
            Self::InvalidRequest(error) => error,
        }
    }
}

/// Returns whether a call may be repeated after an error response.
///
/// A 5xx may come from a proxy whose backend has processed the request, so it does not show that a call had no effect.
/// A 429, and a 503 with `Retry-After`, are sent instead of processing the request.
fn may_repeat(call: &Call, status: u16, has_retry_after: bool) -> bool {
    match call.idempotence {
        Idempotence::Idempotent => is_transient_status(status),
        Idempotence::NotIdempotent => status == 429 || (status == 503 && has_retry_after),
        Idempotence::SingleAttempt => false,
    }
}
