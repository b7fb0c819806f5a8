//! `{"base64": "…"}`: bytes that stand in the payload itself.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::inline::InlineReference;
use super::params::{parse, schema};
use crate::{FetchContext, FetchError, Fetcher, InvalidReference, Reference};

/// Gives bytes that stand in the payload itself: `{"base64": "aGVsbG8="}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Base64Fetcher;

/// Bytes that stand here.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Base64")]
struct Params {
    /// The bytes in standard base64, with padding.
    #[schemars(regex(pattern = r"^[A-Za-z0-9+/]*={0,2}$"))]
    base64: String,
}

impl Base64Fetcher {
    fn parse(self, reference: &Value) -> Result<Bytes, InvalidReference> {
        let Params { base64 } = parse(self.name(), reference)?;
        match STANDARD.decode(base64) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(InvalidReference::new(
                self.name(),
                format!("`base64`: {error}"),
            )),
        }
    }
}

#[async_trait]
impl Fetcher for Base64Fetcher {
    fn name(&self) -> &'static str {
        "base64"
    }

    fn schema(&self) -> Value {
        schema::<Params>()
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        self.parse(reference).map(drop)
    }

    async fn resolve(
        &self,
        _: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        let bytes = self.parse(reference)?;
        Ok(Arc::new(InlineReference { bytes }))
    }
}
