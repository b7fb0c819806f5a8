//! A server for clients on the same machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use runtime_core::webhook::Handler;
use tokio::net::TcpListener;

use crate::options::ServerOptions;
use crate::server::{AbortServerOnDrop, AttachedHook, Fallback, accept_connections};
use crate::shared_api::{listening_server, server_option_methods};

/// Serves hooks on 127.0.0.1, for clients on the same machine.
///
/// Each hook has a URL with 144 random bits. Unknown URLs are answered with 404, or by a
/// [fallback](LocalhostBuilder::fallback). Dropping the server aborts
/// all connections; [`stop`](Self::stop) lets requests finish.
#[derive(Debug)]
pub struct LocalhostServer {
    server: AbortServerOnDrop,
    address: SocketAddr,
}

impl LocalhostServer {
    /// Starts a server on a free port with the default limits.
    ///
    /// # Errors
    ///
    /// A [`BindError`] if the operating system has no free port.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start() -> Result<Self, BindError> {
        Self::builder().start().await
    }

    /// Returns a builder.
    pub fn builder() -> LocalhostBuilder {
        LocalhostBuilder {
            port: 0,
            options: ServerOptions::default(),
        }
    }

    /// Serves the hooks to the clients of a further listener, such as one in a network namespace. Ends with the server.
    ///
    /// # Panics
    ///
    /// When polled outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: no connection is accepted any more. Accepted ones continue.
    pub fn serve(&self, listener: TcpListener) -> impl Future<Output = ()> + Send + use<> {
        accept_connections(Arc::clone(&self.server), listener)
    }
}

listening_server!(LocalhostServer, AttachedHook::into_fixed_web_hook);

/// Builder of a [`LocalhostServer`].
#[derive(Clone, Debug)]
#[must_use = "call `start` to start the server"]
pub struct LocalhostBuilder {
    port: u16,
    options: ServerOptions,
}

impl LocalhostBuilder {
    /// Sets the port; 0, the default, chooses a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the handler of requests whose path names no hook, such as `/metrics`. Default: they are answered with 404.
    ///
    /// The handler receives the whole path. Unlike the URLs of hooks, any process on the machine can guess it.
    pub fn fallback(mut self, handler: Arc<dyn Handler>) -> Self {
        self.options.fallback = Some(Fallback(handler));
        self
    }

    server_option_methods!(options);

    /// Binds the port and starts the server.
    ///
    /// # Errors
    ///
    /// A [`BindError`] if the port is in use or not permitted.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(self) -> Result<LocalhostServer, BindError> {
        let port = self.port;
        let failed = |source| BindError::new(port, source);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = self.start_without_listener(address);
        let accept = server.serve(listener);
        server.server.tasks.spawn(accept);
        Ok(server)
    }

    /// Starts a server that listens nowhere itself, for listeners that come later: see [`LocalhostServer::serve`].
    ///
    /// `address` is theirs, as clients see it. The URLs of hooks begin with it.
    #[must_use]
    pub fn start_without_listener(self, address: SocketAddr) -> LocalhostServer {
        let server = self.options.into_server();
        server.registry.set_base_url(&format!("http://{address}/"));
        LocalhostServer { server, address }
    }
}

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process listens on the port.
    #[error(
        "cannot listen on 127.0.0.1:{port}: the port is in use; choose another one, or 0 for a free one"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The operating system refused.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Refused {
        /// The port.
        port: u16,
        /// The error of the operating system.
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
