//! References to objects of the object service.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::json_reference::{JsonReference, impl_fetcher, require_non_empty};
use crate::context::FetchContext;
use crate::download::{Origin, RemoteReference};
use crate::error::FetchError;
use crate::hash::{Hashes, HexDigest};
use crate::reference::Reference;

/// Fetches an object of the object service with the credentials of the task: `{"object": "name"}`.
///
/// Verifies the hashes of the service, one of which must be a SHA-256 or SHA-512, and the given hashes. Prefer an
/// [artifact](crate::ArtifactFetcher) reference for objects that are artifacts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectFetcher;

impl_fetcher!(ObjectFetcher, ObjectParams);

/// An object of the object service.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Object")]
struct ObjectParams {
    /// The name of the object.
    #[schemars(length(min = 1))]
    object: String,
    /// The SHA-256 of the bytes.
    sha256: Option<HexDigest<32>>,
    /// The SHA-512 of the bytes.
    sha512: Option<HexDigest<64>>,
}

#[async_trait]
impl JsonReference for ObjectParams {
    const KIND: &'static str = "object";

    fn validate(&self) -> Result<(), String> {
        require_non_empty("object", &self.object)
    }

    async fn resolve(self, _: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        Ok(Arc::new(RemoteReference {
            origin: Origin::Object(self.object),
            hashes: Hashes::none().sha256(self.sha256).sha512(self.sha512),
        }))
    }
}
