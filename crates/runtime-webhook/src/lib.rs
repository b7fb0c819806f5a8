//! Web hook servers and tunnels that give a running task a URL, and handlers such as live logs and shells.
//!
//! # Servers
//!
//! Each server implements the port [`WebHookServer`]:
//!
//! | clients | server | feature |
//! | --- | --- | --- |
//! | on the same machine | [`LocalhostServer`] | |
//! | everywhere, through a public port | `PublicServer`: TLS, HTTP/2, stateless DNS | `public` |
//! | everywhere, through a Taskcluster deployment | `Websocktunnel` | `websocktunnel` |
//! | everywhere, for tests | `Localtunnel` | `localtunnel` |
//! | as selected by configuration | `WebHookConfig` | `config` |
//!
//! # Handlers
//!
//! Each [`Handler`] works with each server: an async function, a tower service such as an axum router, or one of
//! these:
//!
//! | content | handler | feature |
//! | --- | --- | --- |
//! | a log, also while it is written | [`LiveLog`] | |
//! | a program on a terminal | `Shell` | `shell`, on Unix |
//! | fixed content | [`StaticPage`] | |
//!
//! Handlers can rely on this:
//!
//! - Path and query below the hook's URL are passed byte for byte as sent.
//! - Bodies are streamed in both directions, with backpressure.
//! - `hyper::upgrade::on(&mut request)` takes over the connection after a response with status 101.
//! - When the client disconnects, the handler's future or the response body is dropped.
//! - A response body that ends with an error aborts the connection, so that no client takes it for complete.
//! - A panic is answered with status 500.
//!
//! # Example
//!
//! ```
//! use runtime_core::webhook::{Body, Response, WebHookServer, from_fn};
//! use runtime_webhook::LocalhostServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = LocalhostServer::start().await?;
//! let handler = from_fn(|request| async move {
//!     Response::new(Body::from(format!("requested {}\n", request.uri())))
//! });
//! let hook = server.attach(handler).await?;
//! assert!(hook.url().starts_with("http://127.0.0.1:"));
//!
//! drop(hook); // Detaches the handler.
//! server.stop(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Misbehaving clients
//!
//! | client | response |
//! | --- | --- |
//! | requests an unknown hook | 404; its duration reveals nothing about the ids of hooks |
//! | sends a head that is too large or has too many fields | 431 |
//! | sends a malformed head | 400 |
//! | sends an incomplete head or no TLS handshake | disconnected after [`HttpLimits::header_timeout`] |
//! | sends an incomplete body | the handler gets an error after [`HttpLimits::body_timeout`] |
//! | requests a hook whose handler hangs | 503 after [`HttpLimits::response_timeout`] |
//! | does not read a response | disconnected after [`HttpLimits::write_timeout`]; over HTTP/2 only this response is reset |
//! | leaves a connection idle | disconnected after [`HttpLimits::header_timeout`] |
//! | opens more connections than [`HttpLimits::max_connections`] | waits for a free one |
//!
//! # Other modules
//!
//! The module `wsmux`, with the feature of the same name, implements the protocol of websocktunnel: byte streams
//! multiplexed over one WebSocket. [`WebHookSet`] detaches the hooks of a task together, as in the Go package.
//!
//! # Limitations
//!
//! WebSockets over HTTP/2 are not supported; browsers open an HTTP/1.1 connection for them. Certificates are read
//! from files and not requested from an authority.

#[cfg(feature = "config")]
mod config;
mod connection;
mod hook_id;
mod http_limits;
mod live_log;
mod localhost;
#[cfg(feature = "localtunnel")]
mod localtunnel;
#[cfg(all(test, runtime_loom))]
mod models;
mod options;
#[cfg(feature = "public")]
mod public;
mod registry;
mod response;
mod server;
mod shared_api;
#[cfg(all(feature = "shell", unix))]
mod shell;
mod static_page;
mod sys;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
mod tunnel_server;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
mod tunnel_state;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;
#[cfg(feature = "wsmux")]
pub mod wsmux;

// Servers and tunnels.
pub use http_limits::HttpLimits;
pub use localhost::{BindError, LocalhostBuilder, LocalhostServer};
#[cfg(feature = "localtunnel")]
pub use localtunnel::{Localtunnel, LocaltunnelBuilder, LocaltunnelError};
#[cfg(feature = "public")]
pub use public::{CertificateError, PublicBuilder, PublicError, PublicServer};
pub use registry::OnDetach;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
pub use tunnel_server::{TunnelServerError, TunnelSetupError};
#[cfg(feature = "websocktunnel")]
pub use websocktunnel::{
    ConnectTunnelError, TokenSource, TunnelToken, Websocktunnel, WebsocktunnelBuilder,
    WebsocktunnelError, token_fn,
};

// Handlers.
pub use live_log::LiveLog;
#[cfg(all(feature = "shell", unix))]
pub use shell::{Shell, ShellCommand, ShellControl, ShellProgram, ShellStarter};
pub use static_page::StaticPage;

// Configuration.
#[cfg(all(feature = "config", feature = "localtunnel"))]
pub use config::LocaltunnelConfig;
#[cfg(feature = "config")]
pub use config::{
    ConfiguredServer, LocalhostConfig, NoConfig, ServerDependencies, StartServerError,
    WebHookConfig,
};
#[cfg(all(feature = "config", feature = "public"))]
pub use config::{PublicConfig, StatelessDnsConfig};
#[cfg(all(feature = "config", feature = "websocktunnel"))]
pub use config::{TokenSourceFactory, WebsocktunnelConfig};

// The port, so that users of a server need no other crate. Inlined: as a list of re-exports it would be the first
// thing on the page, before the servers.
#[doc(inline)]
pub use runtime_core::webhook::{
    AttachError, Body, Handler, NoWebHookServer, Request, Response, WebHook, WebHookServer,
    WebHookSet, from_fn, from_service,
};
