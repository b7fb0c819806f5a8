//! A websocktunnel server on the loopback interface.
//!
//! It accepts clients with a token and sends the requests of viewers through their tunnels, with the
//! handshake, frames and error responses of the real server. There are two differences: upgraded
//! connections are forwarded as bytes, and a response is read before the whole request is sent.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use std::time::Duration;
//!
//! use runtime_mocks::websocktunnel::WebsocktunnelServer;
//!
//! let server = WebsocktunnelServer::start().await?;
//! let token = server.token("group.worker.1", Duration::from_secs(3600));
//! // A client connects to `server.url()` with this id and token. Its hooks are then below:
//! assert!(server.client_url("group.worker.1").starts_with(server.url()));
//! # let _ = token;
//! # Ok(())
//! # }
//! ```

mod register;
mod response;
mod state;
mod token;
mod viewer;

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};

use self::state::TunnelServerState;
use self::token::TokenKey;

/// A websocktunnel server. It stops when dropped.
#[derive(Debug)]
pub struct WebsocktunnelServer {
    state: Arc<TunnelServerState>,
}

impl WebsocktunnelServer {
    /// Starts a server with default settings on a free port.
    ///
    /// # Errors
    ///
    /// Fails if no port is free.
    ///
    /// # Cancel safety
    ///
    /// Safe: the server does not run before the future completes.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder with default settings.
    pub fn builder() -> WebsocktunnelServerBuilder {
        WebsocktunnelServerBuilder {
            port: 0,
            secret: SecretString::from("the secret of the mock"),
            audience: "mock".to_owned(),
        }
    }

    /// Returns the URL that clients connect to, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Returns the port, for example to start another server on it later.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.state.port
    }

    /// Returns the URL of a client for viewers.
    #[must_use]
    pub fn client_url(&self, client_id: &str) -> String {
        self.state.client_url(client_id)
    }

    /// Returns a token for a client.
    #[must_use]
    pub fn token(&self, client_id: &str, lifetime: Duration) -> SecretString {
        let expires = Timestamp::now() + lifetime;
        self.state.key.sign(client_id, expires)
    }

    /// Returns the ids of the connected clients.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        self.state.client_ids()
    }

    /// Closes the connection of a client without a close handshake.
    ///
    /// Returns `false` if the client is not connected.
    pub fn disconnect(&self, client_id: &str) -> bool {
        self.state.disconnect(client_id)
    }

    /// Stops the server and all connections without a close handshake, and waits until its port is
    /// free.
    ///
    /// # Cancel safety
    ///
    /// The server stops even if the future is dropped, but possibly some time after the drop.
    pub async fn kill(self) {
        let tasks = self.state.tasks.clone();
        drop(self);
        tasks.wait().await;
    }
}

impl Drop for WebsocktunnelServer {
    fn drop(&mut self) {
        self.state.killed.cancel();
        self.state.tasks.close();
    }
}

/// Settings of a [`WebsocktunnelServer`].
#[derive(Clone, Debug)]
#[must_use = "the server does not run before `start`"]
pub struct WebsocktunnelServerBuilder {
    port: u16,
    secret: SecretString,
    audience: String,
}

impl WebsocktunnelServerBuilder {
    /// Sets the port. The default is 0, any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the key that verifies tokens, such as `tunnel_key` of the embedded Taskcluster.
    pub fn secret(mut self, secret: SecretString) -> Self {
        self.secret = secret;
        self
    }

    /// Sets the audience that tokens must have. The default is `mock`.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// Fails if the port is taken.
    ///
    /// # Cancel safety
    ///
    /// Safe: the server does not run before the future completes.
    pub async fn start(self) -> io::Result<WebsocktunnelServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let port = listener.local_addr()?.port();
        let key = TokenKey::new(&self.secret, &self.audience);
        let state = Arc::new(TunnelServerState::new(port, key));
        state.spawn(accept(Arc::clone(&state), listener));
        Ok(WebsocktunnelServer { state })
    }
}

async fn accept(state: Arc<TunnelServerState>, listener: TcpListener) {
    loop {
        // An error means that the client closed the connection before it was accepted.
        if let Ok((stream, _)) = listener.accept().await {
            state.spawn(serve(Arc::clone(&state), stream));
        }
    }
}

async fn serve(state: Arc<TunnelServerState>, stream: TcpStream) {
    // Fails if the client has closed the connection, which the next read reports.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            Ok::<_, Infallible>(if register::is_registration(&request) {
                register::register(&state, request)
            } else {
                viewer::forward(&state, request).await
            })
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Clients and viewers may disconnect at any time.
    let _ = connection.with_upgrades().await;
}
