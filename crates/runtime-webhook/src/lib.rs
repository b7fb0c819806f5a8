//! Gives a running task a URL: a server of hooks, and a live log to attach to it.
//!
//! [`LocalhostServer`] implements the port [`WebHookServer`](runtime_core::webhook::WebHookServer) for clients on the same machine.
//! [`LiveLog`] is a handler that lets them follow a log while it is written. Any other
//! [`Handler`](runtime_core::webhook::Handler) attaches the same way: an async function, or a tower service such
//! as an axum router.
//!
//! # What a handler can rely on
//!
//! - The path and the query behind the hook's URL arrive as they were sent, escapes included.
//! - Bodies stream both ways, at the pace of the slower side.
//! - `hyper::upgrade::on(&mut request)` takes over the connection after an answer with status 101.
//! - When the client goes away, the handler's future or the answer's body is dropped.
//! - A body that ends with an error aborts the connection; the client cannot take it for complete.
//! - A panic is answered with 500.
//!
//! # What clients get that misbehave
//!
//! | what | answer |
//! | --- | --- |
//! | an unknown hook | 404, after the same time as for one that nearly exists |
//! | a head that is too large, or has too many fields | 431 |
//! | a head that is malformed | 400 |
//! | a head that does not come to its end | cut after [`Limits::header_timeout`] |
//! | an answer that is not read | cut after [`Limits::write_timeout`] |
//! | more connections than [`Limits::connections`] | they wait |
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
//!     Response::new(Body::from(format!("you asked for {}\n", request.uri())))
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
//! # Limitations
//!
//! There is no way to the outside yet: no TLS, no tunnels.

#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
mod backoff;
mod cut;
#[cfg(feature = "client-tls")]
mod dial;
mod id;
mod limits;
mod live_log;
mod localhost;
#[cfg(feature = "public")]
mod public;
mod registry;
mod server;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;
#[cfg(feature = "wsmux")]
pub mod wsmux;

#[cfg(feature = "client-tls")]
pub use dial::UrlError;
pub use limits::Limits;
pub use live_log::LiveLog;
pub use localhost::{BindError, LocalhostBuilder, LocalhostServer, OnDetach};
#[cfg(feature = "public")]
pub use public::{CertificateError, PublicBuilder, PublicError, PublicServer};
#[cfg(feature = "websocktunnel")]
pub use websocktunnel::{
    ConnectError, SetupError, TokenSource, TunnelToken, Websocktunnel, WebsocktunnelBuilder,
    token_fn,
};
