//! A server for this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};
use tokio::net::TcpListener;

use crate::server::{Server, accept};
use crate::settings::{Common, common_methods};

/// What happens to running requests when their hook is detached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDetach {
    /// They finish; only new ones are refused.
    #[default]
    Finish,
    /// Their connections are cut, those of upgrades included.
    Cut,
}

/// Serves hooks on 127.0.0.1, for clients on the same machine.
///
/// Every hook has a URL of its own with 144 random bits; an unknown one is answered with 404. Dropping
/// the server ends it at once, with all connections; [`stop`](Self::stop) lets requests finish.
#[derive(Debug)]
pub struct LocalhostServer {
    server: Arc<Server>,
    address: SocketAddr,
}

impl LocalhostServer {
    /// Serves on a free port, with the default limits.
    ///
    /// # Errors
    ///
    /// A [`BindError`] if the operating system has no port.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start() -> Result<Self, BindError> {
        Self::builder().start().await
    }

    /// Sets up a server.
    pub fn builder() -> LocalhostBuilder {
        LocalhostBuilder {
            port: 0,
            common: Common::default(),
        }
    }

    /// Where the server listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Attaches `handler`, and says what becomes of running requests when the hook is dropped.
    ///
    /// # Errors
    ///
    /// [`AttachError::Stopped`] after [`stop`](Self::stop).
    pub fn attach_with(
        &self,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<WebHook, AttachError> {
        let hook = self.server.attach(handler, on_detach)?;
        Ok(hook.into_fixed_web_hook())
    }

    /// Accepts no more, lets running requests finish for as long as `grace`, and cuts those that are
    /// left. Returns how many connections were cut.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: the server does not accept again, and another call goes on waiting.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.server.stop(grace).await
    }
}

#[async_trait]
impl WebHookServer for LocalhostServer {
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        self.attach_with(handler, OnDetach::Finish)
    }
}

impl Drop for LocalhostServer {
    fn drop(&mut self) {
        self.server.end();
    }
}

/// Sets up a [`LocalhostServer`].
#[derive(Clone, Debug)]
#[must_use = "call `start` to have a server"]
pub struct LocalhostBuilder {
    port: u16,
    common: Common,
}

impl LocalhostBuilder {
    /// Listens on this port; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    common_methods!(common);

    /// Binds the port and starts to serve.
    ///
    /// # Errors
    ///
    /// A [`BindError`] if the port is taken or not allowed.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(self) -> Result<LocalhostServer, BindError> {
        let port = self.port;
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = bound.map_err(|source| BindError::new(port, source))?;
        let address = listener
            .local_addr()
            .map_err(|source| BindError::new(port, source))?;
        let server = self.common.server();
        server.registry.rebase(&format!("http://{address}/"));
        server.tasks.spawn(accept(Arc::clone(&server), listener));
        Ok(LocalhostServer { server, address })
    }
}

/// A server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Something else listens there.
    #[error(
        "cannot serve hooks on 127.0.0.1:{port}: the port is taken; choose another, or 0 for a free one"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },

    /// The operating system refused.
    #[error("cannot serve hooks on 127.0.0.1:{port}")]
    Refused {
        /// The port.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
}

impl BindError {
    fn new(port: u16, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { port, source },
            _ => Self::Refused { port, source },
        }
    }
}
