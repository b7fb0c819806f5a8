//! `{"raw": "text"}`: text that stands in the payload itself.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::inline::InlineReference;
use super::params::{parse, schema};
use crate::{FetchContext, FetchError, Fetcher, InvalidReference, Reference};

/// Gives text that stands in the payload itself: `{"raw": "text"}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawFetcher;

/// Text that stands here.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Text")]
struct Params {
    /// The text; its UTF-8 bytes are the content.
    raw: String,
}

#[async_trait]
impl Fetcher for RawFetcher {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn schema(&self) -> Value {
        schema::<Params>()
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        parse::<Params>(self.name(), reference).map(drop)
    }

    async fn resolve(
        &self,
        _: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        let Params { raw } = parse(self.name(), reference)?;
        Ok(Arc::new(InlineReference { bytes: raw.into() }))
    }
}
