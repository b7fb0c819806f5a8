//! References that contain their bytes.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use super::json_reference::{JsonReference, impl_fetcher};
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::hash_key::HashKey;
use crate::invalid_reference::InvalidReference;
use crate::progress::ProgressMeter;
use crate::reference::{FetchStats, Reference};
use crate::required_scopes::RequiredScopes;
use crate::target::{Target, TargetError};

/// Provides text from the payload: `{"raw": "text"}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawFetcher;

impl_fetcher!(RawFetcher, RawParams);

/// Inline text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Text")]
struct RawParams {
    /// The text, stored as UTF-8.
    raw: String,
}

#[async_trait]
impl JsonReference for RawParams {
    const KIND: &'static str = "raw";

    async fn resolve(self, _: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        let bytes = self.raw.into();
        Ok(Arc::new(InlineReference { bytes }))
    }
}

/// Provides bytes from the payload: `{"base64": "aGVsbG8="}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Base64Fetcher;

impl_fetcher!(Base64Fetcher, Base64Params);

/// Inline bytes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Base64")]
struct Base64Params {
    /// The bytes in standard base64, with padding.
    #[schemars(regex(pattern = r"^[A-Za-z0-9+/]*={0,2}$"))]
    base64: String,
}

impl Base64Params {
    fn decode(&self) -> Result<Bytes, String> {
        let decoded = STANDARD.decode(&self.base64);
        decoded
            .map(Into::into)
            .map_err(|error| format!("`base64`: {error}"))
    }
}

#[async_trait]
impl JsonReference for Base64Params {
    const KIND: &'static str = "base64";

    fn validate(&self) -> Result<(), String> {
        self.decode().map(drop)
    }

    async fn resolve(self, _: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        let bytes = self.decode();
        let bytes = bytes.map_err(|reason| InvalidReference::new(Self::KIND, reason))?;
        Ok(Arc::new(InlineReference { bytes }))
    }
}

/// A reference that contains its bytes.
struct InlineReference {
    bytes: Bytes,
}

#[async_trait]
impl Reference for InlineReference {
    fn subject(&self) -> String {
        format!("{} inline bytes", self.bytes.len())
    }

    fn hash_key(&self) -> HashKey {
        HashKey::of_bytes("inline", &self.bytes)
    }

    fn scopes(&self) -> RequiredScopes {
        RequiredScopes::none()
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<FetchStats, FetchError> {
        let (start, subject) = (Instant::now(), self.subject());
        let length = self.bytes.len() as u64;
        let interval = context.config().progress_interval;
        let mut meter = ProgressMeter::start(&subject, context.listener(), interval);
        meter.set_position(0, Some(length));
        let stored = self.store(target).await;
        stored.map_err(|source| FetchError::Target { subject, source })?;
        meter.add(length);
        meter.finish();
        Ok(FetchStats {
            bytes: length,
            attempts: 0,
            elapsed: start.elapsed(),
        })
    }
}

impl InlineReference {
    async fn store(&self, target: &mut dyn Target) -> Result<(), TargetError> {
        // Fetching twice into one target must not append.
        target.reset().await?;
        target.write(self.bytes.clone()).await?;
        target.commit().await
    }
}

impl fmt::Debug for InlineReference {
    /// Omits the bytes, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InlineReference({} bytes)", self.bytes.len())
    }
}
