//! The port that assigns URLs to running tasks.
//!
//! A [`WebHookServer`] attaches a [`Handler`] and returns a [`WebHook`]: its URL, and a handle that
//! detaches on drop. Any tower service over `http` types, such as an axum router, becomes a handler
//! through [`from_service`].

mod body;
mod handler;
mod hook;

pub use body::Body;
pub use handler::{Handler, Request, Response, from_fn, from_service};
pub use hook::{AttachError, NoWebHookServer, WebHook, WebHookServer, WebHookSet};
