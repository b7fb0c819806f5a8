//! Shared parts of the worker's HTTP clients: TLS, client builder, backoff, `Retry-After` and error bodies.
//!
//! An internal crate for the crates that open connections, and for the retries of `runtime-worker`. It is the only
//! crate that depends on reqwest and that configures TLS for clients, so the crypto provider (ring), the trusted
//! certificates and the proxy rules are the same for every connection of a worker.
//!
//! | for | use |
//! | --- | --- |
//! | delays between retries | [`Backoff`] |
//! | the delay that a server asks for | [`retry_after`] |
//! | connections to `https:` servers | [`tls_config`], [`lenient_tls_config`], [`tls_failure`] |
//! | an HTTP client | [`client_builder`], [`reqwest`] |
//! | response bodies of bounded length | [`read_body`], [`read_error_body`], [`excerpt`] |
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use runtime_http::Backoff;
//!
//! let mut backoff = Backoff::new(Duration::from_millis(250));
//! let max_delay = Duration::from_secs(30);
//! assert!(backoff.next_delay(max_delay) <= Duration::from_millis(250));
//! assert!(backoff.next_delay(max_delay) <= Duration::from_millis(500));
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
#[cfg(feature = "client")]
mod body;
#[cfg(feature = "client")]
mod client;
mod retry_after;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_failure;
#[cfg(feature = "tls")]
mod tls_verifier;

pub use backoff::Backoff;
#[cfg(feature = "client")]
pub use body::{ReadBodyError, excerpt, read_body, read_error_body};
#[cfg(feature = "client")]
pub use client::client_builder;
#[cfg(feature = "client")]
pub use reqwest;
pub use retry_after::{MAX_RETRY_AFTER, retry_after};
#[cfg(feature = "tls")]
pub use tls::{TlsError, lenient_tls_config, tls_config};
#[cfg(feature = "tls")]
pub use tls_failure::{TlsFailure, tls_failure};
