//! Errors of starting a configured server.

use crate::localhost::BindError;
#[cfg(feature = "localtunnel")]
use crate::localtunnel::LocaltunnelError;
#[cfg(feature = "public")]
use crate::public::PublicError;
#[cfg(feature = "websocktunnel")]
use crate::websocktunnel::WebsocktunnelError;

/// A server cannot start with its configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartServerError {
    /// The localhost server cannot start.
    #[error(transparent)]
    Localhost(#[from] BindError),

    /// The public server cannot start.
    #[cfg(feature = "public")]
    #[error(transparent)]
    Public(#[from] PublicError),

    /// The tunnel through a localtunnel server cannot start.
    #[cfg(feature = "localtunnel")]
    #[error(transparent)]
    Localtunnel(#[from] LocaltunnelError),

    /// The tunnel through a websocktunnel server cannot start.
    #[cfg(feature = "websocktunnel")]
    #[error(transparent)]
    Websocktunnel(#[from] WebsocktunnelError),

    /// The application provides no source of tokens.
    #[error("the provider `websocktunnel` requires a worker with Taskcluster credentials")]
    NoTokens,

    /// One of two keys that require each other is missing.
    #[error("missing key `{missing}`, which is required by `{given}`")]
    Incomplete {
        /// The key that is set.
        given: &'static str,
        /// The key that is not set.
        missing: &'static str,
    },
}
