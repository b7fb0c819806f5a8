//! The error of identifying a machine.

use runtime_core::BoxError;

use crate::client_error::ClientError;

/// An error while reading the identity of a machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The HTTP client cannot be set up.
    #[error("cannot set up the client of the metadata service")]
    Client(#[from] ClientError),

    /// The metadata service did not respond.
    #[error(
        "the metadata service is unreachable at `{path}`; is this a machine of the configured cloud?"
    )]
    Unreachable {
        /// The requested path.
        path: String,
        /// The last error.
        source: BoxError,
    },

    /// The metadata service refused a request.
    #[error(
        "the metadata service responded to `{path}` with status {status}; was the machine created by a worker pool?"
    )]
    Status {
        /// The requested path.
        path: String,
        /// The HTTP status.
        status: u16,
    },

    /// The metadata service returned unexpected values.
    #[error("unexpected value at `{path}` of the metadata service: {problem}")]
    Malformed {
        /// The requested path.
        path: String,
        /// The problem, without the value.
        problem: String,
    },
}
