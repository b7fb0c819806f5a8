//! The server that a configuration selects, its dependencies and its errors.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::Monitor;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};

#[cfg(feature = "websocktunnel")]
use super::websocktunnel::TokenSourceFactory;
use crate::http_limits::HttpLimits;
use crate::localhost::{BindError, LocalhostServer};
#[cfg(feature = "localtunnel")]
use crate::localtunnel::{Localtunnel, LocaltunnelError};
#[cfg(feature = "public")]
use crate::public::{PublicError, PublicServer};
#[cfg(feature = "websocktunnel")]
use crate::websocktunnel::{Websocktunnel, WebsocktunnelError};

/// The parts of a server that the application provides, in addition to the configuration.
#[derive(Debug)]
pub struct ServerDependencies {
    /// The monitor that receives metrics and log lines, with the prefix `webhook`.
    pub monitor: Monitor,
    /// The limits of connections and requests.
    pub limits: HttpLimits,
    /// The source of tokens, required for the provider `websocktunnel`.
    #[cfg(feature = "websocktunnel")]
    pub tokens: Option<TokenSourceFactory>,
}

impl Default for ServerDependencies {
    fn default() -> Self {
        Self {
            monitor: Monitor::null(),
            limits: HttpLimits::default(),
            #[cfg(feature = "websocktunnel")]
            tokens: None,
        }
    }
}

/// The server that a [`WebHookConfig`](super::WebHookConfig) selected.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfiguredServer {
    /// No server.
    None,
    /// A server for clients on the same machine.
    Localhost(LocalhostServer),
    /// A server on a public port.
    #[cfg(feature = "public")]
    Public(PublicServer),
    /// A tunnel through a localtunnel server.
    #[cfg(feature = "localtunnel")]
    Localtunnel(Localtunnel),
    /// A tunnel through a websocktunnel server.
    #[cfg(feature = "websocktunnel")]
    Websocktunnel(Websocktunnel),
}

impl ConfiguredServer {
    /// Stops accepting requests, waits up to `grace` for requests in progress, and aborts the remaining
    /// connections. Returns the number of aborted connections.
    ///
    /// # Cancel safety
    ///
    /// The server stays closed if the future is dropped; another call continues the wait.
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
