//! A fetcher that accepts the references of several fetchers.

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::TaskId;
use serde_json::{Value, json};

use super::artifact::{ArtifactFetcher, IndexFetcher};
use super::inline::{Base64Fetcher, RawFetcher};
use super::object::ObjectFetcher;
use super::schema_shape::SchemaShape;
use super::url::{UrlFetcher, UrlHashFetcher};
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::hash_key::HashKey;
use crate::invalid_reference::InvalidReference;
use crate::reference::{FetchStats, Fetcher, Reference};
use crate::required_scopes::RequiredScopes;
use crate::target::Target;

/// A fetcher that accepts the references of several fetchers. Clones share them.
///
/// The hash keys of its references are in the [namespace](Fetcher::key_namespace) of their fetcher, so that references of
/// different fetchers never share a cached copy by accident.
///
/// ```
/// # use runtime_fetcher::{Combine, Fetcher};
/// # use serde_json::json;
/// let fetcher = Combine::standard();
/// assert!(fetcher.check(&json!({ "raw": "hello" })).is_ok());
///
/// let error = fetcher.check(&json!({ "url": "https://example.com", "sha265": "00" })).unwrap_err();
/// assert!(error.to_string().contains("unknown field `sha265`"));
/// ```
#[derive(Clone, Debug)]
pub struct Combine {
    alternatives: Arc<[Alternative]>,
}

#[derive(Debug)]
struct Alternative {
    fetcher: Arc<dyn Fetcher>,
    shapes: Vec<SchemaShape>,
}

/// An error for two fetchers that may accept the same reference, or whose keys have the same namespace.
#[derive(Debug, thiserror::Error)]
#[error(
    "ambiguous fetchers `{first}` and `{second}`: one must require a key that the other forbids, and their names must differ"
)]
#[non_exhaustive]
pub struct AmbiguousFetchers {
    /// The name of one fetcher.
    pub first: &'static str,
    /// The name of the other fetcher.
    pub second: &'static str,
}

impl Combine {
    /// Combines fetchers.
    ///
    /// # Errors
    ///
    /// [`AmbiguousFetchers`] unless every two schemas exclude each other: by type, or because one requires a key
    /// that the other forbids. Also for two fetchers with the same [namespace](Fetcher::key_namespace), such as two
    /// combinations with fetchers of other crates: combine their fetchers directly.
    pub fn new(
        fetchers: impl IntoIterator<Item = Arc<dyn Fetcher>>,
    ) -> Result<Self, AmbiguousFetchers> {
        let alternatives: Arc<[Alternative]> = fetchers.into_iter().map(Alternative::new).collect();
        // Checked here, at the start of the worker. Trying the fetchers in order instead would make the meaning of a
        // payload depend on the order, and change it when a fetcher is added.
        for (index, first) in alternatives.iter().enumerate() {
            if let Some(second) = alternatives[index + 1..]
                .iter()
                .find(|other| first.overlaps(other) || first.shares_namespace(other))
            {
                return Err(AmbiguousFetchers {
                    first: first.fetcher.name(),
                    second: second.fetcher.name(),
                });
            }
        }
        Ok(Self { alternatives })
    }

    /// Combines all fetchers of this crate.
    #[must_use]
    pub fn standard() -> Self {
        let fetchers: [Arc<dyn Fetcher>; 7] = [
            Arc::new(UrlFetcher),
            Arc::new(UrlHashFetcher),
            Arc::new(ArtifactFetcher),
            Arc::new(IndexFetcher),
            Arc::new(ObjectFetcher),
            Arc::new(RawFetcher),
            Arc::new(Base64Fetcher),
        ];
        let alternatives = fetchers.into_iter().map(Alternative::new).collect();
        Self { alternatives }
    }

    /// Returns the fetcher that accepts a reference.
    fn choose(&self, reference: &Value) -> Result<&dyn Fetcher, InvalidReference> {
        let mut errors = Vec::new();
        for alternative in &*self.alternatives {
            match alternative.fetcher.check(reference) {
                Ok(()) => return Ok(&*alternative.fetcher),
                Err(error) => errors.push((alternative.similarity(reference), error)),
            }
        }
        // The author meant the most similar kind, so its mismatch is reported first.
        errors.sort_by_key(|(similarity, _)| Reverse(*similarity));
        let errors = errors.into_iter().map(|(_, error)| error);
        Err(InvalidReference::merge(errors))
    }
}

impl Alternative {
    fn new(fetcher: Arc<dyn Fetcher>) -> Self {
        let shapes = SchemaShape::all_of(&fetcher.schema());
        Self { fetcher, shapes }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.shapes
            .iter()
            .any(|shape| other.shapes.iter().any(|other| shape.overlaps(other)))
    }

    fn shares_namespace(&self, other: &Self) -> bool {
        let namespace = self.fetcher.key_namespace();
        namespace.is_some() && namespace == other.fetcher.key_namespace()
    }

    fn similarity(&self, reference: &Value) -> usize {
        self.shapes
            .iter()
            .map(|shape| shape.similarity(reference))
            .max()
            .unwrap_or(0)
    }
}

#[async_trait]
impl Fetcher for Combine {
    fn name(&self) -> &'static str {
        "any"
    }

    /// Returns `None` for a combination of fetchers of this crate only: its keys are those of its fetchers.
    fn key_namespace(&self) -> Option<&'static str> {
        let mut fetchers = self.alternatives.iter().map(|it| &it.fetcher);
        fetchers
            .any(|fetcher| fetcher.key_namespace().is_some())
            .then(|| self.name())
    }

    fn schema(&self) -> Value {
        let alternatives = self
            .alternatives
            .iter()
            .map(|alternative| alternative.fetcher.schema());
        json!({ "anyOf": alternatives.collect::<Vec<_>>() })
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        self.choose(reference).map(drop)
    }

    fn referenced_task(&self, reference: &Value) -> Option<TaskId> {
        self.choose(reference).ok()?.referenced_task(reference)
    }

    async fn resolve(
        &self,
        context: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        let fetcher = self.choose(reference)?;
        let resolved = fetcher.resolve(context, reference).await?;
        Ok(match fetcher.key_namespace() {
            None => resolved,
            Some(namespace) => Arc::new(NamespacedReference {
                namespace,
                inner: resolved,
            }),
        })
    }
}

/// A reference with a hash key in the namespace of its fetcher.
#[derive(Debug)]
struct NamespacedReference {
    namespace: &'static str,
    inner: Arc<dyn Reference>,
}

#[async_trait]
impl Reference for NamespacedReference {
    fn subject(&self) -> String {
        self.inner.subject()
    }

    fn hash_key(&self) -> HashKey {
        self.inner.hash_key().within(self.namespace)
    }

    fn source_key(&self) -> HashKey {
        self.inner.source_key().within(self.namespace)
    }

    fn scopes(&self) -> RequiredScopes {
        self.inner.scopes()
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<FetchStats, FetchError> {
        self.inner.fetch(context, target).await
    }
}
