//! `{"url": "https://…"}`: whatever is there.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::params::{HttpUrl, parse, schema};
use crate::download::{Location, Source, Trust, download};
use crate::hash::Hashes;
use crate::http::redacted;
use crate::{
    AttemptError, FetchContext, FetchError, Fetched, Fetcher, HashKey, InvalidReference, Reference,
    RequiredScopes, Target,
};

/// Fetches whatever is at a URL: the reference is the URL as a string, or `{"url": …}`.
///
/// Nothing says that the bytes stay the same, so a cached copy may be older than what is there now.
#[derive(Clone, Copy, Debug, Default)]
pub struct UrlFetcher;

/// Whatever is at a URL, unchecked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "URL")]
struct Params {
    /// Where the bytes are.
    url: HttpUrl,
}

impl UrlFetcher {
    fn parse(self, reference: &Value) -> Result<Url, InvalidReference> {
        let Value::String(text) = reference else {
            return parse(self.name(), reference).map(|Params { url }| url.0);
        };
        HttpUrl::try_from(text.clone())
            .map(|url| url.0)
            .map_err(|reason| InvalidReference::new(self.name(), reason))
    }
}

#[async_trait]
impl Fetcher for UrlFetcher {
    fn name(&self) -> &'static str {
        "url"
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [schema::<HttpUrl>(), schema::<Params>()] })
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        self.parse(reference).map(drop)
    }

    async fn resolve(
        &self,
        _: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        let url = self.parse(reference)?;
        Ok(Arc::new(UrlReference::new(url, Hashes::none())))
    }
}

/// A URL, with the hashes that the bytes there must have.
pub(super) struct UrlReference {
    url: Url,
    hashes: Hashes,
}

impl UrlReference {
    pub(super) fn new(url: Url, hashes: Hashes) -> Self {
        Self { url, hashes }
    }
}

#[async_trait]
impl Reference for UrlReference {
    fn subject(&self) -> String {
        redacted(&self.url)
    }

    fn hash_key(&self) -> HashKey {
        let hashes = self.hashes.key_parts();
        if self.hashes.has_strong() {
            // The bytes are the same wherever they come from.
            return HashKey::new("hash", hashes);
        }
        HashKey::new("url", std::iter::once(self.url.to_string()).chain(hashes))
    }

    fn scopes(&self) -> RequiredScopes {
        RequiredScopes::none()
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<Fetched, FetchError> {
        download(self, context, target).await
    }
}

#[async_trait]
impl Source for UrlReference {
    async fn locate(&self, _: &FetchContext) -> Result<Location, AttemptError> {
        Ok(Location {
            url: self.url.clone(),
            trust: Trust::Task,
            hashes: self.hashes.clone(),
            redirects: true,
        })
    }
}

impl fmt::Debug for UrlReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlReference")
            .field("url", &redacted(&self.url))
            .field("hashes", &self.hashes)
            .finish()
    }
}
