//! What went wrong with one attempt.

use std::time::Duration;

use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{ApiError, BoxError};

use crate::hash::HashMismatch;

/// Why an attempt to fetch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The server answered, and not with the bytes.
    #[error("the server answered {status}{}{}", asked(*retry_after), excerpt(body))]
    Status {
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
        /// The body as text, cut at 8 KiB.
        body: String,
    },

    /// There is no connection, or it broke before an answer came.
    #[error("no answer from `{host}`")]
    Connect {
        /// The server.
        host: String,
        /// What the transport said.
        source: BoxError,
    },

    /// The connection is there, and nothing comes.
    #[error("not a byte came within {timeout:?}")]
    Stalled {
        /// How long the fetch waited.
        timeout: Duration,
    },

    /// Bytes come, and too few of them.
    #[error("only {bytes} bytes came while the server was waited for during {window:.1?}")]
    TooSlow {
        /// How many came.
        bytes: u64,
        /// How long the fetch waited for them.
        window: Duration,
    },

    /// The body broke off.
    #[error("the body broke off after {received} bytes")]
    Interrupted {
        /// How much came, counted from the start of the body.
        received: u64,
        /// What the transport said.
        source: BoxError,
    },

    /// The body ended before the length that the server said.
    #[error("the body ended after {received} bytes, and the server promised {promised}")]
    Truncated {
        /// How much came.
        received: u64,
        /// How much should have come.
        promised: u64,
    },

    /// The body has no end where it should.
    #[error("the body goes on after byte {end}, where it should end")]
    Overlong {
        /// Where it should end, counted from the start of the body.
        end: u64,
    },

    /// The server sent something else than the range that was asked for.
    #[error("the server does not continue where the last attempt ended")]
    NotResumed,

    /// The bytes are not those that the reference names.
    #[error(transparent)]
    Hash(#[from] HashMismatch),

    /// The bytes do not decode as the server said.
    #[error("the body is not valid {encoding}")]
    Decode {
        /// The content encoding.
        encoding: &'static str,
        /// What the decoder said.
        source: std::io::Error,
    },

    /// The server used an encoding that was not asked for.
    #[error("the body is encoded as `{encoding}`, which this worker does not decode")]
    UnknownEncoding {
        /// The content encoding.
        encoding: String,
    },

    /// The chain of redirects did not end.
    #[error("gave up after {limit} redirects")]
    TooManyRedirects {
        /// How many were followed.
        limit: usize,
    },

    /// A redirect leads where no fetch goes.
    #[error("refused a redirect to `{to}`: {reason}")]
    Redirect {
        /// The new location, without its query.
        to: String,
        /// Why it is refused.
        reason: &'static str,
    },

    /// The server is at an address that references of tasks must not reach.
    #[error(
        "`{host}` is at an address that a task's reference must not reach (loopback, link-local or metadata)"
    )]
    AddressRefused {
        /// The host.
        host: String,
    },

    /// There is more than the worker takes.
    #[error("there are more than the {limit} bytes that are allowed")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// The task that promised the artifact could not make it.
    #[error("the artifact is a promise that could not be kept ({reason}): {message}")]
    ErrorArtifact {
        /// Why.
        reason: ArtifactErrorReason,
        /// What that task said.
        message: String,
    },

    /// The task has never run, so that it has no artifact.
    #[error("the task has no run yet")]
    NoRun,

    /// The bytes are kept in a way that this worker cannot read.
    #[error("{0}")]
    Unsupported(String),

    /// A service of the deployment refused.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Who can do something about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The author of the reference: trying again does not help.
    Reference,
    /// Nobody: trying again may help.
    Circumstances,
    /// The bytes were whole and wrong: worth one more try, then the author's.
    Content,
    /// The worker or its connection to the deployment.
    Worker,
}

impl AttemptError {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Status { status, .. } if is_transient_status(*status) => Blame::Circumstances,
            Self::Connect { .. }
            | Self::Stalled { .. }
            | Self::TooSlow { .. }
            | Self::Interrupted { .. }
            | Self::Truncated { .. }
            | Self::Overlong { .. }
            | Self::NotResumed => Blame::Circumstances,
            Self::Hash(_) | Self::Decode { .. } => Blame::Content,
            Self::Api(error) => blame_of_api(error),
            Self::Status { .. }
            | Self::UnknownEncoding { .. }
            | Self::TooManyRedirects { .. }
            | Self::Redirect { .. }
            | Self::AddressRefused { .. }
            | Self::TooLarge { .. }
            | Self::ErrorArtifact { .. }
            | Self::NoRun
            | Self::Unsupported(_) => Blame::Reference,
        }
    }

    /// What the server asked to wait, if it did.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

fn blame_of_api(error: &ApiError) -> Blame {
    match error.status() {
        _ if error.is_transient() => Blame::Circumstances,
        // The credentials are not known at all: no reference can be at fault for that.
        None | Some(401) => Blame::Worker,
        Some(_) => Blame::Reference,
    }
}

/// What the server asked to wait: it may be the reason for having given up.
fn asked(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!(" and asked to wait for {} s", wait.as_secs())
    })
}

/// The first line of an error body, as far as it fits into a message.
fn excerpt(body: &str) -> String {
    const LONGEST: usize = 200;
    let line = body.lines().map(str::trim).find(|line| !line.is_empty());
    match line {
        None => String::new(),
        Some(line) => format!(": {}", line.chars().take(LONGEST).collect::<String>()),
    }
}
