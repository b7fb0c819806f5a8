//! Whichever server was chosen.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};

use crate::{BindError, LocalhostServer};

/// The server that a [`WebHookConfig`](super::WebHookConfig) chose.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfiguredServer {
    /// There is none.
    None,
    /// For clients on the same machine.
    Localhost(LocalhostServer),
    /// On a port that the world can reach.
    #[cfg(feature = "public")]
    Public(crate::PublicServer),
    /// Behind a localtunnel server.
    #[cfg(feature = "localtunnel")]
    Localtunnel(crate::Localtunnel),
    /// Behind a websocktunnel server.
    #[cfg(feature = "websocktunnel")]
    Websocktunnel(crate::Websocktunnel),
}

impl ConfiguredServer {
    /// Accepts no more, lets running requests finish for as long as `grace`, and cuts those that are
    /// left. Returns how many were cut.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: nothing more is accepted, and another call goes on waiting.
    pub async fn stop(&self, grace: Duration) -> usize {
        match self {
            Self::None => 0,
            Self::Localhost(server) => server.stop(grace).await,
            #[cfg(feature = "public")]
            Self::Public(server) => server.stop(grace).await,
            #[cfg(feature = "localtunnel")]
            Self::Localtunnel(server) => server.stop(grace).await,
            #[cfg(feature = "websocktunnel")]
            Self::Websocktunnel(server) => server.stop(grace).await,
        }
    }
}

#[async_trait]
impl WebHookServer for ConfiguredServer {
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        match self {
            Self::None => Err(AttachError::NoServer),
            Self::Localhost(server) => server.attach(handler).await,
            #[cfg(feature = "public")]
            Self::Public(server) => server.attach(handler).await,
            #[cfg(feature = "localtunnel")]
            Self::Localtunnel(server) => server.attach(handler).await,
            #[cfg(feature = "websocktunnel")]
            Self::Websocktunnel(server) => server.attach(handler).await,
        }
    }
}

/// A server cannot start as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartServerError {
    /// The server for this machine.
    #[error(transparent)]
    Localhost(#[from] BindError),

    /// The public server.
    #[cfg(feature = "public")]
    #[error(transparent)]
    Public(#[from] crate::PublicError),

    /// The tunnel through a localtunnel server.
    #[cfg(feature = "localtunnel")]
    #[error(transparent)]
    Localtunnel(#[from] crate::LocaltunnelError),

    /// The tunnel through a websocktunnel server.
    #[cfg(feature = "websocktunnel")]
    #[error(transparent)]
    Websocktunnel(#[from] crate::SetupError),

    /// Nobody can get tokens.
    #[error(
        "`webhooks.provider` is `websocktunnel`, but there is nothing to get tokens from: it takes a worker with credentials"
    )]
    NoTokens,

    /// One of two settings that need each other is missing.
    #[error("`{missing}` is not set, but `{given}` is: they go together")]
    Incomplete {
        /// What is set.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
}
