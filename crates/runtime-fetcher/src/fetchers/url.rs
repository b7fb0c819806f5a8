//! URL references, with or without hashes.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::json_reference::{JsonReference, impl_fetcher, schema_of};
use crate::context::FetchContext;
use crate::download::{Origin, RemoteReference};
use crate::error::FetchError;
use crate::hash::{Hashes, HexDigest};
use crate::invalid_reference::InvalidReference;
use crate::reference::Reference;

/// Fetches a URL: `"https://…"` or `{"url": "https://…"}`.
///
/// The bytes behind a URL may change, so a cached copy may be outdated.
#[derive(Clone, Copy, Debug, Default)]
pub struct UrlFetcher;

impl_fetcher!(UrlFetcher, UrlParams);

/// A URL, without verification.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "URL")]
struct UrlParams {
    /// The URL of the bytes.
    url: HttpUrl,
}

#[async_trait]
impl JsonReference for UrlParams {
    const KIND: &'static str = "url";

    fn parse(reference: &Value) -> Result<Self, InvalidReference> {
        let parsed = match reference {
            Value::String(text) => HttpUrl::try_from(text.clone()).map(|url| Self { url }),
            Value::Object(_) => Self::deserialize(reference).map_err(|error| error.to_string()),
            _ => Err("neither a string nor an object".to_owned()),
        };
        parsed.map_err(|reason| InvalidReference::new(Self::KIND, reason))
    }

    fn schema() -> Value {
        json!({ "anyOf": [schema_of::<HttpUrl>(), schema_of::<Self>()] })
    }

    async fn resolve(self, _: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        Ok(url_reference(self.url.0, Hashes::none()))
    }
}

/// Fetches a URL and verifies its bytes: `{"url": …, "sha256": …}`, or with `md5`, `sha1` or `sha512`.
///
/// All given hashes are verified. With a SHA-256 or SHA-512, URLs of the same bytes share a cached copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct UrlHashFetcher;

impl_fetcher!(UrlHashFetcher, UrlHashParams);

/// A URL whose bytes must have the given hashes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "URL with hash", extend("anyOf" = at_least_one_hash()))]
struct UrlHashParams {
    /// The URL of the bytes.
    url: HttpUrl,
    /// The MD5 of the bytes, which detects accidental corruption only.
    md5: Option<HexDigest<16>>,
    /// The SHA-1 of the bytes, which detects accidental corruption only.
    sha1: Option<HexDigest<20>>,
    /// The SHA-256 of the bytes.
    sha256: Option<HexDigest<32>>,
    /// The SHA-512 of the bytes.
    sha512: Option<HexDigest<64>>,
}

fn at_least_one_hash() -> Value {
    json!(["md5", "sha1", "sha256", "sha512"].map(|hash| json!({ "required": [hash] })))
}

impl UrlHashParams {
    fn hashes(&self) -> Hashes {
        Hashes::none()
            .md5(self.md5.clone())
            .sha1(self.sha1.clone())
            .sha256(self.sha256.clone())
            .sha512(self.sha512.clone())
    }
}

#[async_trait]
impl JsonReference for UrlHashParams {
    const KIND: &'static str = "url with hash";

    fn validate(&self) -> Result<(), String> {
        if self.hashes().is_empty() {
            return Err("missing one of `sha512`, `sha256`, `sha1`, `md5`".to_owned());
        }
        Ok(())
    }

    async fn resolve(self, _: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        let hashes = self.hashes();
        Ok(url_reference(self.url.0, hashes))
    }
}

fn url_reference(url: Url, hashes: Hashes) -> Arc<dyn Reference> {
    let origin = Origin::Url(url);
    Arc::new(RemoteReference { origin, hashes })
}

/// An `http` or `https` URL without a fragment.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct HttpUrl(Url);

impl TryFrom<String> for HttpUrl {
    type Error = String;

    /// Parses a URL. The errors omit the text, which may contain a password.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut url = Url::parse(&text).map_err(|error| format!("invalid URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(format!(
                "unsupported URL scheme `{scheme}`, expected http or https"
            ));
        }
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl JsonSchema for HttpUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HttpUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri", "pattern": "^[hH][tT][tT][pP][sS]?:" })
    }
}
