//! A websocktunnel server on the loopback interface.
//!
//! It takes clients with a token, and sends viewers' requests through their tunnels, as the real server does:
//! the same handshake, the same frames, the same answers to what is wrong. It differs in that it passes
//! upgraded connections on as bytes, and in that it reads an answer before it has sent the whole request.
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
//! // Give the URL, the id and the token to a client; its hooks are then below this URL.
//! assert!(server.client_url("group.worker.1").starts_with(server.url()));
//! # let _ = token;
//! # Ok(())
//! # }
//! ```

mod answer;
mod register;
mod token;
mod view;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::register::Client;
use self::token::TokenKey;

/// A websocktunnel server. Dropping it kills it.
#[derive(Debug)]
pub struct WebsocktunnelServer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    port: u16,
    key: TokenKey,
    clients: Mutex<HashMap<String, Client>>,
    /// The number of the next connection of a client.
    next: AtomicU64,
    tasks: TaskTracker,
    killed: CancellationToken,
}

impl WebsocktunnelServer {
    /// Starts a server on a free port, with a key of its own.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] if there is no port.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets up a server.
    pub fn builder() -> WebsocktunnelServerBuilder {
        WebsocktunnelServerBuilder {
            port: 0,
            secret: SecretString::from("the secret of the mock"),
            audience: "mock".to_owned(),
        }
    }

    /// The URL that clients connect to, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The port, to start another server in its place.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// The URL at which viewers find a client.
    #[must_use]
    pub fn client_url(&self, client_id: &str) -> String {
        self.shared.client_url(client_id)
    }

    /// A token for a client that holds for so long.
    #[must_use]
    pub fn token(&self, client_id: &str, lifetime: Duration) -> SecretString {
        let expires = Timestamp::now() + lifetime;
        self.shared.key.sign(client_id, expires)
    }

    /// The ids of the clients that are connected.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        self.shared.clients.lock().keys().cloned().collect()
    }

    /// Cuts the connection of a client, without a goodbye; `false` if there is no such client.
    pub fn disconnect(&self, client_id: &str) -> bool {
        let client = self.shared.clients.lock().remove(client_id);
        client.inspect(|client| client.cut.cancel()).is_some()
    }

    /// Ends the server at once, with all connections and without a goodbye, and waits until its port is free.
    ///
    /// # Cancel safety
    ///
    /// Safe: everything ends, only that nobody waits for it.
    pub async fn kill(self) {
        let tasks = self.shared.tasks.clone();
        drop(self);
        tasks.wait().await;
    }
}

impl Drop for WebsocktunnelServer {
    fn drop(&mut self) {
        self.shared.killed.cancel();
        self.shared.tasks.close();
    }
}

/// Sets up a [`WebsocktunnelServer`].
#[derive(Clone, Debug)]
#[must_use = "call `start` to have a server"]
pub struct WebsocktunnelServerBuilder {
    port: u16,
    secret: SecretString,
    audience: String,
}

impl WebsocktunnelServerBuilder {
    /// Listens on this port; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Checks tokens with this key, such as the embedded Taskcluster's `tunnel_key`.
    pub fn secret(mut self, secret: SecretString) -> Self {
        self.secret = secret;
        self
    }

    /// Takes tokens for this audience; `mock` by default.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] if the port is taken.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(self) -> io::Result<WebsocktunnelServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            url: format!("http://127.0.0.1:{port}"),
            port,
            key: TokenKey::new(&self.secret, &self.audience),
            clients: Mutex::default(),
            next: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            killed: CancellationToken::new(),
        });
        let killed = shared.killed.clone();
        let accept = accept(Arc::clone(&shared), listener);
        shared
            .tasks
            .spawn(async move { killed.run_until_cancelled(accept).await });
        Ok(WebsocktunnelServer { shared })
    }
}

impl Shared {
    fn client_url(&self, id: &str) -> String {
        format!("{}/{id}", self.url)
    }

    fn client(&self, id: &str) -> Option<Client> {
        self.clients.lock().get(id).cloned()
    }

    /// Adds a client, and returns the one that had the id before.
    fn insert(&self, id: &str, client: Client) -> Option<Client> {
        self.clients.lock().insert(id.to_owned(), client)
    }

    /// Removes a client whose connection is over, unless another one has come in its place.
    fn remove(&self, id: &str, connection: u64) {
        let mut clients = self.clients.lock();
        if clients
            .get(id)
            .is_some_and(|client| client.connection == connection)
        {
            clients.remove(id);
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        // A connection that is gone before it is accepted is no reason to end.
        if let Ok((stream, _)) = listener.accept().await {
            let killed = shared.killed.clone();
            let serve = serve(Arc::clone(&shared), stream);
            shared
                .tasks
                .spawn(async move { killed.run_until_cancelled(serve).await });
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    // It fails if the client is gone already, which serving shows.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            Ok::<_, Infallible>(match register::is_registration(&request) {
                true => register::register(&shared, request),
                false => view::view(&shared, request).await,
            })
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Viewers come and go as they like.
    let _ = connection.with_upgrades().await;
}
