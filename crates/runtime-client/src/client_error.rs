//! The error of a deployment that cannot be connected to.

use runtime_core::BoxError;
use runtime_http::TlsError;

/// A deployment cannot be spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The root URL is no URL.
    #[error("`{root_url}` is no root URL; expected something like `https://tc.example.com`")]
    RootUrl {
        /// What was given.
        root_url: String,
        /// What is wrong with it.
        source: url::ParseError,
    },

    /// The root URL is a URL and cannot be one of a deployment.
    #[error(
        "`{root_url}` cannot be a root URL: {problem}; expected something like `https://tc.example.com`"
    )]
    Unsuitable {
        /// What was given, without user name and password.
        root_url: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// TLS cannot be set up, for example because the machine has no root certificates.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),

    /// A setting cannot be met.
    #[error("cannot set up the HTTP client with these settings")]
    Settings {
        /// What is wrong.
        source: BoxError,
    },
}
