//! The error of setting up a client.

use runtime_core::BoxError;
use runtime_http::TlsError;

/// An error while setting up the client of a deployment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The root URL cannot be parsed.
    #[error("invalid root URL `{root_url}`; expected a URL such as `https://tc.example.com`")]
    RootUrl {
        /// The given text.
        root_url: String,
        /// The parse error.
        source: url::ParseError,
    },

    /// The root URL has parts that the root URL of a deployment cannot have.
    #[error(
        "unsupported root URL `{root_url}`: {problem}; expected a URL such as `https://tc.example.com`"
    )]
    UnsupportedRootUrl {
        /// The given URL, without user name and password.
        root_url: String,
        /// The part that is not supported.
        problem: &'static str,
    },

    /// TLS cannot be set up, for example because the machine has no root certificates.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),

    /// The HTTP client refused the settings.
    #[error("cannot set up the HTTP client with these settings")]
    Settings {
        /// The error of the HTTP client.
        source: BoxError,
    },
}
