//! The standard kinds of references.

mod artifact;
mod combine;
mod inline;
mod json_reference;
mod object;
mod schema_shape;
mod url;

pub use artifact::{ArtifactFetcher, IndexFetcher};
pub use combine::{AmbiguousFetchers, Combine};
pub use inline::{Base64Fetcher, RawFetcher};
pub use object::ObjectFetcher;
pub use url::{UrlFetcher, UrlHashFetcher};
