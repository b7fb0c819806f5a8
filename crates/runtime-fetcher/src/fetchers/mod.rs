//! The kinds of references that every worker understands.

mod artifact;
mod base64;
mod combine;
mod content;
mod index;
mod inline;
mod object;
mod params;
mod raw;
mod url;
mod url_hash;

pub use artifact::ArtifactFetcher;
pub use base64::Base64Fetcher;
pub use combine::{AmbiguousFetchers, Combine};
pub use index::IndexFetcher;
pub use object::ObjectFetcher;
pub use raw::RawFetcher;
pub use url::UrlFetcher;
pub use url_hash::UrlHashFetcher;
