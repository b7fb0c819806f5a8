//! The reason a single fetch attempt failed, and its class: retry, blame the reference, or blame the worker.

use std::time::Duration;

use runtime_core::queue::ArtifactErrorReason;
use runtime_core::util::is_transient_status;
use runtime_core::{ApiError, BoxError};

use crate::hash::HashMismatch;

/// The reason a single fetch attempt failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The server returned an error status.
    #[error("server returned {status}{}{}", wait_request(*retry_after), body_excerpt(body))]
    Status {
        /// The HTTP status.
        status: u16,
        /// The wait that `Retry-After` asked for.
        retry_after: Option<Duration>,
        /// The body as text, cut at 8 KiB.
        body: String,
    },

    /// The connection failed before a response arrived.
    #[error("no response from `{host}`")]
    Connect {
        /// The host of the URL.
        host: String,
        /// The error of the HTTP client.
        source: BoxError,
    },

    /// No TLS connection could be established, for example because the certificate of the server has expired.
    #[error("no TLS connection to `{host}`: {reason}")]
    Tls {
        /// The host of the URL.
        host: String,
        /// The reason.
        reason: String,
        /// Whether a retry would fail in the same way, as with a certificate that is not trusted.
        is_permanent: bool,
    },

    /// The connection is open but idle.
    #[error("no data received for {timeout:?}")]
    Stalled {
        /// The configured timeout.
        timeout: Duration,
    },

    /// Throughput fell below the configured minimum.
    #[error("received only {bytes} bytes in {window:.1?}")]
    TooSlow {
        /// The bytes received in the window.
        bytes: u64,
        /// The time spent waiting for the server.
        window: Duration,
    },

    /// The connection closed before the end of the body.
    #[error("connection lost after {received} bytes")]
    Interrupted {
        /// The bytes received, counted from the start of the body.
        received: u64,
        /// The error of the HTTP client.
        source: BoxError,
    },

    /// The body is shorter than the length that the server announced.
    #[error("body ended after {received} of {promised} bytes")]
    Truncated {
        /// The bytes received.
        received: u64,
        /// The announced length.
        promised: u64,
    },

    /// The body is longer than the length that the server announced.
    #[error("body continues after its announced end at byte {end}")]
    TooLong {
        /// The announced end, counted from the start of the body.
        end: u64,
    },

    /// The server returned another range than the requested one, or a range of another body.
    #[error("server did not return the requested range of the same body")]
    RangeMismatch,

    /// The bytes have another hash than the reference requires.
    #[error(transparent)]
    Hash(#[from] HashMismatch),

    /// The body does not decode.
    #[error("body is not valid {encoding}")]
    Decode {
        /// The content encoding.
        encoding: &'static str,
        /// The error of the decoder.
        source: std::io::Error,
    },

    /// The server used an encoding that was not offered in the request.
    #[error("unsupported content encoding `{encoding}`")]
    UnknownEncoding {
        /// The content encoding.
        encoding: String,
    },

    /// The chain of redirects exceeds the configured limit.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The configured limit.
        limit: usize,
    },

    /// The server redirected to a location that is never followed.
    #[error("refused redirect to `{to}`: {reason}")]
    Redirect {
        /// The new location, without its query.
        to: String,
        /// The rule that it violates.
        reason: &'static str,
    },

    /// The host leads to an address that references of tasks must not reach.
    #[error(
        "`{host}` leads to {kind}, which task references must not reach (the worker's configuration can list the host \
         in `allowedHosts`)"
    )]
    AddressDenied {
        /// The host of the URL.
        host: String,
        /// The kind of address, such as `a private address`.
        kind: &'static str,
    },

    /// The body exceeds the configured size.
    #[error("larger than the limit of {limit} bytes")]
    TooLarge {
        /// The configured limit.
        limit: u64,
    },

    /// The artifact is an error artifact: the task that should have created it reported why it could not.
    #[error("error artifact ({reason}): {}", runtime_http::excerpt(message.as_bytes()))]
    ErrorArtifact {
        /// The reason of the error artifact.
        reason: ArtifactErrorReason,
        /// The message of the error artifact.
        message: String,
    },

    /// The task has no run, hence no artifacts.
    #[error("task has no run yet")]
    NoRun,

    /// The storage of the bytes is not supported.
    #[error("{0}")]
    Unsupported(String),

    /// A Taskcluster service returned an error.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Whether a failed attempt is retried, and whom the final error blames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The reference is wrong: a retry does not help.
    Reference,
    /// A transient failure: a retry may succeed.
    Transient,
    /// The body is complete but corrupt: one retry, then the reference is wrong.
    CorruptBody,
    /// The worker, its credentials or its connection to the deployment are at fault.
    Worker,
}

impl AttemptError {
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Status { status, .. } if is_transient_status(*status) => ErrorClass::Transient,
            Self::Tls {
                is_permanent: false,
                ..
            }
            | Self::Connect { .. }
            | Self::Stalled { .. }
            | Self::TooSlow { .. }
            | Self::Interrupted { .. }
            | Self::Truncated { .. }
            | Self::TooLong { .. }
            | Self::RangeMismatch => ErrorClass::Transient,
            Self::Hash(_) | Self::Decode { .. } => ErrorClass::CorruptBody,
            Self::Api(error) => class_of_api_error(error),
            Self::Status { .. }
            | Self::Tls { .. }
            | Self::UnknownEncoding { .. }
            | Self::TooManyRedirects { .. }
            | Self::Redirect { .. }
            | Self::AddressDenied { .. }
            | Self::TooLarge { .. }
            | Self::ErrorArtifact { .. }
            | Self::NoRun
            | Self::Unsupported(_) => ErrorClass::Reference,
        }
    }

    /// Returns the wait that the server asked for, if any.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn class_of_api_error(error: &ApiError) -> ErrorClass {
    match error.status() {
        _ if error.is_transient() => ErrorClass::Transient,
        // 401 means that the service does not accept the credentials at all, whatever the reference names. A 403
        // in contrast depends on the reference: the task lacks a scope for it.
        None | Some(401) => ErrorClass::Worker,
        Some(_) => ErrorClass::Reference,
    }
}

/// Returns the wait that a server asked for as text: a wait beyond the budget is the reason for giving up.
fn wait_request(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!(" with `Retry-After: {}`", wait.as_secs())
    })
}

/// Returns the start of an error body, if it has text.
fn body_excerpt(body: &str) -> String {
    let excerpt = runtime_http::excerpt(body.as_bytes());
    if excerpt.is_empty() {
        excerpt
    } else {
        format!(": {excerpt}")
    }
}
