//! The traits [`Fetcher`], which parses one kind of reference, and [`Reference`], which fetches itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskId;
use serde_json::Value;

use crate::context::FetchContext;
use crate::error::FetchError;
use crate::hash_key::HashKey;
use crate::invalid_reference::InvalidReference;
use crate::required_scopes::RequiredScopes;
use crate::target::Target;

/// A parser for one kind of reference in task payloads.
#[async_trait]
pub trait Fetcher: Send + Sync + fmt::Debug {
    /// Returns the name of this kind of reference in messages, such as `artifact`.
    fn name(&self) -> &'static str;

    /// Returns the namespace that [`Combine`](crate::Combine) adds to the hash keys of this fetcher's references; the
    /// [name](Self::name) by default.
    ///
    /// It separates the keys of fetchers that were written independently. The fetchers of this crate return `None`:
    /// their keys cannot collide, so an artifact that is found through the index shares the cached copy of the artifact.
    fn key_namespace(&self) -> Option<&'static str> {
        Some(self.name())
    }

    /// Returns the JSON schema of a reference.
    ///
    /// An object schema lists its `properties` and `required` keys and sets `additionalProperties` to false:
    /// [`Combine`](crate::Combine) distinguishes kinds by them.
    fn schema(&self) -> Value;

    /// Validates a reference without any request.
    ///
    /// # Errors
    ///
    /// The schema violation, worded for the author of the payload.
    fn check(&self, reference: &Value) -> Result<(), InvalidReference>;

    /// Returns the task that a reference names, if any.
    ///
    /// Artifacts exist only after their task has ended, so a task should depend on the tasks that it references.
    fn referenced_task(&self, reference: &Value) -> Option<TaskId> {
        let _ = reference;
        None
    }

    /// Resolves a reference to exact bytes: looks up names that can move, such as an index path.
    ///
    /// # Errors
    ///
    /// [`FetchError::Invalid`] where [`check`](Self::check) fails, or the error of a lookup.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn resolve(
        &self,
        context: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError>;
}

/// A resolved reference, which can be fetched any number of times.
#[async_trait]
pub trait Reference: Send + Sync + fmt::Debug {
    /// Returns a description for logs, without secrets and without the query of a URL.
    fn subject(&self) -> String;

    /// Returns the part of the cache key that stands for the bytes: equal only for the same bytes and the same required
    /// hashes.
    fn hash_key(&self) -> HashKey;

    /// Returns the part of the cache key that identifies the source of the bytes. Default: the
    /// [hash key](Self::hash_key).
    ///
    /// References with one hash key and several sources, such as URLs of the same bytes, share a cached
    /// copy, but neither a transfer nor its failure.
    fn source_key(&self) -> HashKey {
        self.hash_key()
    }

    /// Returns the scopes that a task needs to use a cached copy.
    ///
    /// [`fetch`](Self::fetch) does not check them: the service that stores the bytes does.
    fn scopes(&self) -> RequiredScopes;

    /// Fetches the bytes into `target` and commits it once they are complete and verified.
    ///
    /// # Errors
    ///
    /// A [`FetchError`]. The target is then not committed.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future ends the transfer. The target is then not committed.
    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<FetchStats, FetchError>;
}

/// Statistics of a successful fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchStats {
    /// The bytes written to the target.
    pub bytes: u64,
    /// The number of requests, including those that resumed a broken transfer; 0 for inline bytes.
    pub attempts: u32,
    /// The duration of the fetch.
    pub elapsed: Duration,
}
