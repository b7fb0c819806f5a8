//! The port that gives a running task a URL.
//!
//! A [`WebHookServer`] attaches a [`Handler`] and answers with a [`WebHook`]: its URL, and a handle
//! that detaches when it is dropped. Any tower service over `http` types is a handler through
//! [`from_service`], an axum router included.

mod body;
mod handler;
mod hook;

pub use body::Body;
pub use handler::{Handler, Request, Response, from_fn, from_service};
pub use hook::{AttachError, NoWebHookServer, WebHook, WebHookServer, WebHookSet};
