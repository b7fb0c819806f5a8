//! `{"object": …}`: what the object service keeps under a name.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::content::locate_object;
use super::params::{parse, schema};
use crate::download::{Location, Source, download};
use crate::hash::{Hashes, HexDigest};
use crate::{
    AttemptError, FetchContext, FetchError, Fetched, Fetcher, HashKey, InvalidReference, Reference,
    RequiredScopes, Target,
};

/// Fetches an object of the object service: `{"object": "name"}`, with the credentials of the task.
///
/// All hashes that the service knows are checked, of which one must be a SHA-256 or SHA-512, and besides
/// them those that are given. Objects that are artifacts are better named as [artifacts](crate::ArtifactFetcher).
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectFetcher;

/// What the object service keeps under a name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Object")]
struct Params {
    /// The name of the object.
    #[schemars(length(min = 1))]
    object: String,
    /// The SHA-256 of the bytes.
    sha256: Option<HexDigest<32>>,
    /// The SHA-512 of the bytes.
    sha512: Option<HexDigest<64>>,
}

impl ObjectFetcher {
    fn parse(self, reference: &Value) -> Result<ObjectReference, InvalidReference> {
        let params: Params = parse(self.name(), reference)?;
        if params.object.is_empty() {
            return Err(InvalidReference::new(self.name(), "`object` is empty"));
        }
        Ok(ObjectReference {
            name: params.object,
            hashes: Hashes::none().sha256(params.sha256).sha512(params.sha512),
        })
    }
}

#[async_trait]
impl Fetcher for ObjectFetcher {
    fn name(&self) -> &'static str {
        "object"
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

#[derive(Debug)]
struct ObjectReference {
    name: String,
    hashes: Hashes,
}

#[async_trait]
impl Reference for ObjectReference {
    fn subject(&self) -> String {
        format!("object `{}`", self.name)
    }

    fn hash_key(&self) -> HashKey {
        let name = std::iter::once(self.name.clone());
        HashKey::new("object", name.chain(self.hashes.key_parts()))
    }

    fn scopes(&self) -> RequiredScopes {
        RequiredScopes::all_of([format!("object:download:{}", self.name)])
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
impl Source for ObjectReference {
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError> {
        locate_object(context.services(), &self.name, None, &self.hashes).await
    }
}
