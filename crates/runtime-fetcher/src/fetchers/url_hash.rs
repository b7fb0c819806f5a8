//! `{"url": …, "sha256": …}`: bytes with known hashes.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::params::{HttpUrl, parse, schema};
use super::url::UrlReference;
use crate::hash::{Hashes, HexDigest};
use crate::{FetchContext, FetchError, Fetcher, InvalidReference, Reference};

/// Fetches bytes with known hashes: `{"url": …, "sha256": …}`, or any of `md5`, `sha1`, `sha512`.
///
/// All hashes that are given are checked. Copies are shared between URLs if one of the hashes is a
/// SHA-256 or SHA-512.
#[derive(Clone, Copy, Debug, Default)]
pub struct UrlHashFetcher;

/// What is at a URL, if it has all the hashes given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "URL with hash", extend("anyOf" = at_least_one_hash()))]
struct Params {
    /// Where the bytes are.
    url: HttpUrl,
    /// The MD5 of the bytes: finds accidents, not attacks.
    md5: Option<HexDigest<16>>,
    /// The SHA-1 of the bytes: finds accidents, not attacks.
    sha1: Option<HexDigest<20>>,
    /// The SHA-256 of the bytes.
    sha256: Option<HexDigest<32>>,
    /// The SHA-512 of the bytes.
    sha512: Option<HexDigest<64>>,
}

fn at_least_one_hash() -> Value {
    json!(["md5", "sha1", "sha256", "sha512"].map(|hash| json!({ "required": [hash] })))
}

impl UrlHashFetcher {
    fn parse(self, reference: &Value) -> Result<UrlReference, InvalidReference> {
        let params: Params = parse(self.name(), reference)?;
        let hashes = Hashes::none()
            .md5(params.md5)
            .sha1(params.sha1)
            .sha256(params.sha256)
            .sha512(params.sha512);
        if hashes.is_empty() {
            return Err(InvalidReference::new(
                self.name(),
                "one of `sha512`, `sha256`, `sha1`, `md5` is missing",
            ));
        }
        Ok(UrlReference::new(params.url.0, hashes))
    }
}

#[async_trait]
impl Fetcher for UrlHashFetcher {
    fn name(&self) -> &'static str {
        "url with hash"
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
        Ok(Arc::new(self.parse(reference)?))
    }
}
