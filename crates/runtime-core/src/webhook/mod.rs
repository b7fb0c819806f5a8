//! The port that assigns URLs to running tasks.
//!
//! A [`WebHookServer`] attaches a [`Handler`] and returns a [`WebHook`], which contains the URL and detaches
//! the handler on drop. [`from_service`] converts any tower service over `http` types, such as an axum
//! router, to a handler.

mod body;
mod handler;
mod hook;

pub use body::Body;
pub use handler::{Handler, Request, Response, from_fn, from_service};
pub use hook::{AttachError, NoWebHookServer, WebHook, WebHookServer, WebHookSet};
