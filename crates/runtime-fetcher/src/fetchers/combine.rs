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
use crate::invalid_reference::InvalidReference;
use crate::reference::{Fetcher, Reference};

/// A fetcher that accepts the references of several fetchers. Clones share them.
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

/// An error for two fetchers that may accept the same reference.
#[derive(Debug, thiserror::Error)]
#[error(
    "ambiguous fetchers `{first}` and `{second}`: one must require a key that the other forbids"
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
    /// that the other forbids.
    pub fn new(
        fetchers: impl IntoIterator<Item = Arc<dyn Fetcher>>,
    ) -> Result<Self, AmbiguousFetchers> {
        let alternatives: Arc<[Alternative]> = fetchers.into_iter().map(Alternative::new).collect();
        // Checked here, at the start of the worker. Trying the fetchers in order instead would make the meaning of a
        // payload depend on the order, and change it when a fetcher is added.
        for (index, first) in alternatives.iter().enumerate() {
            if let Some(second) = alternatives[index + 1..]
                .iter()
                .find(|other| first.overlaps(other))
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
        self.choose(reference)?.resolve(context, reference).await
    }
}
