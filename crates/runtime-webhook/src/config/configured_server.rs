//! The server that a configuration selects.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};

use crate::localhost::LocalhostServer;
#[cfg(feature = "localtunnel")]
use crate::localtunnel::Localtunnel;
#[cfg(feature = "public")]
use crate::public::PublicServer;
#[cfg(feature = "websocktunnel")]
use crate::websocktunnel::Websocktunnel;

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
