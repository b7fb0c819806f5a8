//! A cache of inputs, shared by the tasks of a worker and kept across restarts.

mod adopted_inputs;
mod builder;
mod error;
mod fetch_cache;
mod fingerprint;
mod input_fetch;
mod layout;

pub use builder::FetchCacheBuilder;
pub use error::FetchCacheError;
pub use fetch_cache::{CachedInput, FetchCache};
pub use layout::InputLayout;
