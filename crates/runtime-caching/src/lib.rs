//! Shared and exclusive caches of disposable resources, built once however many ask.

mod build;
mod cache;
mod construction;
mod entry;
mod error;
mod handle;
mod inner;
mod resource;

pub use build::{Build, Constructor, Progress};
pub use cache::{Cache, Cached, Sharing, Uncommitted};
pub use error::RequireError;
pub use handle::Handle;
pub use inner::Key;
pub use resource::Resource;
