//! `{"namespace": …, "artifact": …}`: what the task behind a name left behind.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::artifact::ArtifactReference;
use super::params::{parse, schema};
use crate::hash::{Hashes, HexDigest};
use crate::{FetchContext, FetchError, Fetcher, InvalidReference, Reference};

/// Fetches an artifact of the task that the index has under a name:
/// `{"namespace": "project.v2.latest", "artifact": "public/…"}`.
///
/// The name is looked up each time that the reference is resolved; what comes out is a reference to
/// the artifact of a certain task and run, with the key and the scopes of that.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexFetcher;

/// What the task behind a name in the index left behind.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Indexed artifact")]
struct Params {
    /// The name in the index, such as `project.v2.latest`.
    #[schemars(
        length(max = 255),
        regex(pattern = r"^([A-Za-z0-9_!~*'()%-]+\.)*[A-Za-z0-9_!~*'()%-]+$")
    )]
    namespace: String,
    /// The name of the artifact, such as `public/build/target.tar.gz`.
    #[schemars(length(min = 1))]
    artifact: String,
    /// The SHA-256 of the bytes.
    sha256: Option<HexDigest<32>>,
    /// The SHA-512 of the bytes.
    sha512: Option<HexDigest<64>>,
}

impl IndexFetcher {
    fn parse(self, reference: &Value) -> Result<Params, InvalidReference> {
        let params: Params = parse(self.name(), reference)?;
        if params.artifact.is_empty() {
            return Err(InvalidReference::new(self.name(), "`artifact` is empty"));
        }
        if !is_namespace(&params.namespace) {
            let reason =
                "`namespace` is not words of letters, digits and `_!~*'()%-`, joined by dots";
            return Err(InvalidReference::new(self.name(), reason));
        }
        Ok(params)
    }
}

#[async_trait]
impl Fetcher for IndexFetcher {
    fn name(&self) -> &'static str {
        "index"
    }

    fn schema(&self) -> Value {
        schema::<Params>()
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        self.parse(reference).map(drop)
    }

    async fn resolve(
        &self,
        context: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        let params = self.parse(reference)?;
        let (index, start) = (&context.services().index, Instant::now());
        let task = index.find_task(&params.namespace).await.map_err(|error| {
            let subject = format!("artifact `{}` of `{}`", params.artifact, params.namespace);
            FetchError::of_look_up(subject, start.elapsed(), error.into())
        })?;
        let hashes = Hashes::none().sha256(params.sha256).sha512(params.sha512);
        let reference =
            ArtifactReference::find(context, task.task_id, None, params.artifact, hashes);
        Ok(Arc::new(reference.await?))
    }
}

/// The rule of the index service.
fn is_namespace(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_!~*'()%-".contains(&byte))
    };
    text.len() <= 255 && text.split('.').all(is_word)
}
