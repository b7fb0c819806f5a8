//! A cache of inputs, shared by the tasks of a worker and kept across restarts.

mod adopted_inputs;
mod builder;
mod cached_input;
mod error;
mod fetch_cache;
mod fingerprint;
mod input_fetch;

pub use builder::FetchCacheBuilder;
pub use cached_input::{CachedInput, InputLayout};
pub use error::FetchCacheError;
pub use fetch_cache::FetchCache;
