//! Fetches the inputs of tasks: URLs, artifacts, indexed artifacts, objects and inline bytes.
//!
//! A payload names its inputs by JSON references. This crate validates and resolves them, downloads the bytes
//! with retries and resume, verifies their hashes, and publishes them in a target only when they are complete. Errors
//! distinguish a broken reference from a transient failure and from a problem of the worker.
//!
//! # Overview
//!
//! | task | API |
//! | --- | --- |
//! | Parse a reference of a payload | [`Combine::standard`], [`Fetcher::check`], [`Fetcher::schema`] |
//! | Fetch an input once for all tasks of a worker | `FetchCache` (feature `cache`) |
//! | Fetch into a file or into memory | [`Fetcher::resolve`], then [`Reference::fetch`] with a [`FileTarget`] or [`MemoryTarget`] |
//! | Unpack an archive | `DirectoryTarget` (feature `unpack`) |
//! | Read the bytes during the transfer | [`stream::fetch_as_stream`] |
//! | Report progress | [`FetchContext::for_task`], [`FetchContext::with_listener`], [`FetchProgress`] |
//! | Find the key and the scopes for your own cache | [`Reference::hash_key`] and [`Reference::scopes`] |
//! | Add a kind of reference | implement [`Fetcher`] and [`Reference`], add it to a [`Combine`] |
//! | Add a destination | implement [`Target`] |
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
//! * Error texts, log lines and cache keys contain no query and no password of a URL.
//! * By default, references of tasks reach public addresses only, and no redirect leads from HTTPS to HTTP.
//! * The environment is not read: the proxy is part of [`FetchConfig`].
//!
//! # Differences from the Go package
//!
//! * [`Combine`] refuses fetchers that may accept the same reference, where Go uses the first one that matches. Its schema
//!   is an `anyOf` instead of a `oneOf`, which is equivalent for such fetchers.
//! * [`Combine`] adds the name of a fetcher to its hash keys, where Go adds its index: adding a fetcher leaves the keys of
//!   caches on disk valid. The fetchers of this crate need no such namespace.
//! * Exhausted retries are [`FetchError::Exhausted`] and resolve the task as `resource-unavailable`. In Go they are a broken
//!   reference, `malformed-payload`.
//! * Hash keys are hashes, since URLs may contain tokens. The key of a URL with hashes has all given hashes, where Go uses
//!   one, so that a cached copy satisfies every hash of its reference.
//! * A reference with a URL and no hash belongs to [`UrlFetcher`]; [`UrlHashFetcher`] requires at least one hash.
//! * There is no maximum for `runId` and for the length of artifact names: the queue has them.

mod allowed_host;
mod attempt_error;
mod blocking_batches;
#[cfg(feature = "cache")]
mod cache;
mod config;
mod context;
mod download;
mod error;
mod fetchers;
pub mod hash;
mod hash_key;
mod http;
mod invalid_reference;
mod progress;
mod reference;
mod required_scopes;
mod short_file_jobs;
pub mod stream;
mod target;
mod targets;
#[cfg(feature = "unpack")]
pub mod unpack;

// The inputs of a worker.
pub use allowed_host::{AllowedHost, AllowedHostError};
#[cfg(feature = "cache")]
pub use cache::{CachedInput, FetchCache, FetchCacheBuilder, FetchCacheError, InputLayout};
pub use config::{AddressPolicy, FetchConfig, MinThroughput, ParallelPolicy, RetryPolicy};
pub use context::FetchContext;
pub use http::{HttpClient, HttpClientError};
pub use reference::{FetchStats, Fetcher, Reference};

// Errors.
pub use attempt_error::AttemptError;
pub use error::FetchError;
pub use invalid_reference::{InvalidReference, SchemaMismatch};

// Kinds of references.
pub use fetchers::{
    AmbiguousFetchers, ArtifactFetcher, Base64Fetcher, Combine, IndexFetcher, ObjectFetcher,
    RawFetcher, UrlFetcher, UrlHashFetcher,
};
pub use hash_key::HashKey;
pub use required_scopes::RequiredScopes;

// Targets and progress.
pub use progress::{FetchProgress, FetchStage};
pub use target::{Target, TargetError};
#[cfg(feature = "unpack")]
pub use targets::DirectoryTarget;
pub use targets::{FileTarget, MemoryTarget};
#[cfg(feature = "unpack")]
pub use unpack::{ArchiveFormat, UnpackLimits};
