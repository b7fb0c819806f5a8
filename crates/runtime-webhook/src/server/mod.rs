//! The HTTP server behind all providers: it serves hooks on any byte stream.

mod connections;
mod driver;
mod h1;
#[cfg(feature = "public")]
mod h2;
#[cfg(feature = "public")]
mod h2_request;
mod hook_server;
mod lazy_timer;
mod listener;
mod progress_timeout;
mod request_body;
mod router;
mod serve;
mod socket;

#[cfg(all(test, not(runtime_loom)))]
mod h1_tests;
#[cfg(all(test, not(runtime_loom), feature = "public"))]
mod h2_tests;

#[cfg(feature = "public")]
pub(crate) use self::connections::ConnectionPermit;
pub(crate) use self::hook_server::{AbortServerOnDrop, AttachedHook, Fallback, HookServer};
pub(crate) use self::listener::accept_connections;
#[cfg(feature = "public")]
pub(crate) use self::listener::accept_connections_with;
#[cfg(any(feature = "localtunnel", feature = "public", feature = "websocktunnel"))]
pub(crate) use self::serve::{ConnectionKind, spawn_connection};
