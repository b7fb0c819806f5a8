//! What became of one attempt, and whether another makes sense.

use std::time::Duration;

use runtime_core::util::is_transient_status;
use runtime_core::{ApiError, BoxError, ServiceError};

use super::{Call, Delivery};

/// An attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service answered.
    Refused {
        error: Box<ServiceError>,
        retry_after: Option<Duration>,
    },
    /// No connection was made, so that the service cannot have heard of it.
    NotSent(BoxError),
    /// It was sent or may have been, and no whole answer came.
    Lost(BoxError),
    /// It could not be made or signed.
    Unmakeable(ApiError),
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Give the error to the caller.
    GiveUp,
    /// Try again after a while, at least what is given.
    Retry(Option<Duration>),
    /// Try again with other credentials than these.
    OtherCredentials,
}

impl Failure {
    /// Decides by what is known of the effect of the call.
    pub(super) fn next(&self, call: &Call) -> Next {
        match self {
            Self::Refused { error, .. } if error.status == 401 => Next::OtherCredentials,
            Self::Refused { error, retry_after }
                if may_repeat(call, error.status, retry_after.is_some()) =>
            {
                Next::Retry(*retry_after)
            }
            Self::NotSent(_) => Next::Retry(None),
            Self::Lost(_) if call.delivery == Delivery::Repeatable => Next::Retry(None),
            _ => Next::GiveUp,
        }
    }

    pub(super) fn into_error(self, call: &Call, attempts: u32) -> ApiError {
        match self {
            Self::Refused { error, .. } => ApiError::Service(*error),
            Self::NotSent(source) | Self::Lost(source) => ApiError::Unreachable {
                method: call.method,
                attempts,
                source,
            },
            Self::Unmakeable(error) => error,
        }
    }
}

/// A 5xx can come from a proxy whose backend did the work, so it says nothing about the effect. Only
/// 429, and a 503 that says when to come back, are refusals to begin.
fn may_repeat(call: &Call, status: u16, has_retry_after: bool) -> bool {
    match call.delivery {
        Delivery::Repeatable => is_transient_status(status),
        Delivery::Once => status == 429 || (status == 503 && has_retry_after),
    }
}
