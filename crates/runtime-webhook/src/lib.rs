//! Gives a running task a URL, from behind any firewall: servers of hooks, and what to attach to them.
//!
//! Every server implements the port [`WebHookServer`]:
//!
//! | who is to reach the hooks | server | feature |
//! | --- | --- | --- |
//! | clients on the same machine | [`LocalhostServer`] | |
//! | the world, on a port of this machine | `PublicServer`: TLS, HTTP/2, stateless DNS | `public` |
//! | the world, through a Taskcluster deployment | `Websocktunnel` | `websocktunnel` |
//! | the world, in a test | `Localtunnel` | `localtunnel` |
//! | whoever the configuration says | `WebHookConfig` | `config` |
//!
//! Any [`Handler`] attaches to any of them: an async function, a tower service
//! such as an axum router, or one of these:
//!
//! | what | handler | feature |
//! | --- | --- | --- |
//! | a log while it is written | [`LiveLog`] | |
//! | the same bytes for everybody | [`StaticPage`] | |
//! | a program on a terminal | `Shell` | `shell`, on Unix |
//!
//! `wsmux`, the protocol of websocktunnel, is a module of its own behind the feature `wsmux`.
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
//! | a head that does not come to its end | cut after [`HttpLimits::header_timeout`] |
//! | a body that does not come to its end | an error for the handler after [`HttpLimits::body_timeout`] |
//! | an answer that is not read | cut after [`HttpLimits::write_timeout`]; over HTTP/2 that one, not the others |
//! | nothing to do on an open connection | closed after [`HttpLimits::header_timeout`] |
//! | more connections than [`HttpLimits::connections`] | they wait |
//! | no TLS where it should be | cut after [`HttpLimits::header_timeout`] at most |
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
//! WebSockets are not offered over HTTP/2: browsers open a connection with HTTP/1.1 for them. Certificates are
//! read from files; nothing obtains them.

#[cfg(feature = "config")]
mod config;
mod cut;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
mod dial;
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
mod gate;
mod id;
mod limits;
mod live_log;
mod localhost;
#[cfg(feature = "localtunnel")]
mod localtunnel;
#[cfg(all(test, runtime_loom))]
mod models;
mod page;
#[cfg(feature = "public")]
mod public;
mod registry;
mod server;
mod settings;
#[cfg(all(feature = "shell", unix))]
mod shell;
mod sys;
#[cfg(feature = "websocktunnel")]
mod websocktunnel;
#[cfg(feature = "wsmux")]
pub mod wsmux;

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
pub use config::{Tokens, WebsocktunnelConfig};
#[cfg(any(feature = "localtunnel", feature = "websocktunnel"))]
pub use dial::UrlError;
pub use limits::HttpLimits;
pub use live_log::LiveLog;
pub use localhost::{BindError, LocalhostBuilder, LocalhostServer, OnDetach};
#[cfg(feature = "localtunnel")]
pub use localtunnel::{Localtunnel, LocaltunnelBuilder, LocaltunnelError};
pub use page::StaticPage;
// The port and what it is made of, so that who has a server needs no other crate to attach to it.
#[cfg(feature = "public")]
pub use public::{CertificateError, PublicBuilder, PublicError, PublicServer};
#[doc(no_inline)]
pub use runtime_core::webhook::{
    AttachError, Body, Handler, NoWebHookServer, Request, Response, WebHook, WebHookServer,
    WebHookSet, from_fn, from_service,
};
#[cfg(all(feature = "shell", unix))]
pub use shell::{Shell, ShellCommand};
#[cfg(feature = "websocktunnel")]
pub use websocktunnel::{
    ConnectTunnelError, SetupError, TokenSource, TunnelToken, Websocktunnel, WebsocktunnelBuilder,
    token_fn,
};
