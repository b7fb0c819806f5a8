//! One kind of reference out of many.

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::TaskId;
use serde_json::{Value, json};

use super::{
    ArtifactFetcher, Base64Fetcher, IndexFetcher, ObjectFetcher, RawFetcher, UrlFetcher,
    UrlHashFetcher,
};
use crate::shape::Shape;
use crate::{FetchContext, FetchError, Fetcher, InvalidReference, Reference};

/// Understands every reference that one of its fetchers understands. A clone is cheap and shares them.
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
    shapes: Vec<Shape>,
}

/// There may be a reference that two fetchers understand.
#[derive(Debug, thiserror::Error)]
#[error(
    "a reference can be of kind `{first}` and of kind `{second}` at once; give one of them a required key that the other forbids"
)]
#[non_exhaustive]
pub struct AmbiguousFetchers {
    /// One of them.
    pub first: &'static str,
    /// The other.
    pub second: &'static str,
}

impl Combine {
    /// Joins fetchers.
    ///
    /// # Errors
    ///
    /// [`AmbiguousFetchers`] unless the schemas of each two exclude each other: by type, or because
    /// one requires a key that the other forbids.
    pub fn new(
        fetchers: impl IntoIterator<Item = Arc<dyn Fetcher>>,
    ) -> Result<Self, AmbiguousFetchers> {
        let alternatives: Arc<[Alternative]> = fetchers.into_iter().map(Alternative::new).collect();
        for (place, first) in alternatives.iter().enumerate() {
            if let Some(second) = alternatives[place + 1..]
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

    /// Joins all fetchers of this crate.
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

    fn choose(&self, reference: &Value) -> Result<&dyn Fetcher, InvalidReference> {
        let mut misfits = Vec::new();
        for alternative in &*self.alternatives {
            match alternative.fetcher.check(reference) {
                Ok(()) => return Ok(&*alternative.fetcher),
                Err(error) => misfits.push((alternative.likeness(reference), error)),
            }
        }
        misfits.sort_by_key(|(likeness, _)| Reverse(*likeness));
        Err(InvalidReference::merge(
            misfits.into_iter().map(|(_, error)| error),
        ))
    }
}

impl Alternative {
    fn new(fetcher: Arc<dyn Fetcher>) -> Self {
        let shapes = Shape::all_of(&fetcher.schema());
        Self { fetcher, shapes }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.shapes
            .iter()
            .any(|shape| other.shapes.iter().any(|other| shape.overlaps(other)))
    }

    /// How close the reference comes.
    fn likeness(&self, reference: &Value) -> usize {
        self.shapes
            .iter()
            .map(|shape| shape.likeness(reference))
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
