//! Turns references (URL, URL with hash, artifact, index, object) into bytes on disk.
//!
//! A payload says *what* a task needs; this crate brings it: over as many attempts as it takes, from
//! the byte where the last one broke, checked against the hashes that were given, and into the place
//! where it should be only when it is complete and right. When it cannot, the error says whose fault
//! that is.
//!
//! # Which part for what
//!
//! | you want | you use |
//! | --- | --- |
//! | to understand a reference in a payload | [`Combine::standard`], [`Fetcher::check`], [`Fetcher::schema`] |
//! | the bytes | [`Fetcher::resolve`], then [`Reference::fetch`] into a [`FileTarget`] or [`MemoryTarget`] |
//! | them while they come | [`fetch_as_stream`] |
//! | what is in an archive | `DirectoryTarget` (feature `unpack`) |
//! | it once for all tasks of a worker | `FetchCache` (feature `cache`) |
//! | to share copies | [`Reference::hash_key`] and, for each user, [`Reference::scopes`] |
//! | to show how far it is | [`TaskLogProgress`], [`FetchContext::with_listener`] |
//! | a reference of your own | implement [`Fetcher`] and [`Reference`], and put it into a [`Combine`] |
//! | a place of your own | implement [`Target`] |
//!
//! # Example
//!
//! ```
//! use runtime_core::Services;
//! use runtime_fetcher::{Combine, FetchConfig, FetchContext, Fetcher, FileTarget, HttpClient};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let fetcher = Combine::standard();
//! let http = HttpClient::new(FetchConfig::default())?;
//! let context = FetchContext::new(http, Services::disconnected());
//!
//! let reference = fetcher.resolve(&context, &json!({ "raw": "hello" })).await?;
//! let mut target = FileTarget::new(folder.path().join("greeting"));
//! let fetched = reference.fetch(&context, &mut target).await?;
//! assert_eq!(fetched.bytes, 5);
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! * A target is committed only with the bytes of one pass, complete and verified.
//! * The text of an error, a log line or a key holds no query and no password of a URL.
//! * What a task names is never fetched from an address that only the worker should reach, unless
//!   the configuration says so; nor is HTTPS left for HTTP.
//! * Nothing is read from the environment: proxies come from [`FetchConfig`].

#[cfg(feature = "cache")]
mod cache;
mod cause;
mod config;
mod context;
mod desk;
mod download;
mod error;
mod fetchers;
mod hash;
mod hash_key;
mod http;
mod invalid;
mod lane;
mod progress;
mod reference;
mod scopes;
mod shape;
mod target;
mod task_log;
#[cfg(feature = "unpack")]
mod unpack;

#[cfg(feature = "cache")]
pub use cache::{CachedInput, FetchCache, FetchCacheBuilder, FetchCacheError, InputLayout};
pub use cause::AttemptError;
pub use config::{AddressPolicy, FetchConfig, MinThroughput, ParallelPolicy, RetryPolicy};
pub use context::FetchContext;
pub use error::FetchError;
pub use fetchers::{
    AmbiguousFetchers, ArtifactFetcher, Base64Fetcher, Combine, IndexFetcher, ObjectFetcher,
    RawFetcher, UrlFetcher, UrlHashFetcher,
};
pub use hash::{Algorithm, HashMismatch, Hashes, HexDigest};
pub use hash_key::HashKey;
pub use http::{HttpClient, HttpClientError};
pub use invalid::{InvalidReference, SchemaMismatch};
pub use progress::{FetchProgress, ProgressListener, Retrying, Stage};
pub use reference::{Fetched, Fetcher, Reference};
pub use scopes::RequiredScopes;
#[cfg(feature = "unpack")]
pub use target::DirectoryTarget;
pub use target::{
    FetchStream, FileTarget, MemoryTarget, StreamBroken, StreamError, Target, TargetError,
    fetch_as_stream,
};
pub use task_log::TaskLogProgress;
#[cfg(feature = "unpack")]
pub use unpack::{ArchiveFormat, EntryRejection, UnpackError, UnpackLimits, Unpacked, unpack};
