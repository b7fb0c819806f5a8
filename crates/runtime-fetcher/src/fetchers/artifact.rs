//! References to artifacts, by task or by index namespace.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use runtime_core::TaskId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::json_reference::{JsonReference, impl_fetcher, require_non_empty};
use crate::attempt_error::AttemptError;
use crate::context::FetchContext;
use crate::download::{Origin, RemoteReference};
use crate::error::FetchError;
use crate::hash::{Hashes, HexDigest};
use crate::reference::Reference;

/// Fetches an artifact: `{"taskId": …, "artifact": "public/…"}`, optionally of a given `runId`.
///
/// Without `runId`, resolving the reference selects the latest run. `sha256` and `sha512` are verified if given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArtifactFetcher;

impl_fetcher!(ArtifactFetcher, ArtifactParams);

/// An artifact of another task.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Artifact")]
struct ArtifactParams {
    /// The task that created the artifact.
    #[schemars(
        with = "String",
        regex(
            pattern = r"^[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$"
        )
    )]
    task_id: TaskId,
    /// The run that created the artifact; the latest run by default.
    run_id: Option<u32>,
    /// The name of the artifact, such as `public/build/target.tar.gz`.
    #[schemars(length(min = 1))]
    artifact: String,
    /// The SHA-256 of the bytes.
    sha256: Option<HexDigest<32>>,
    /// The SHA-512 of the bytes.
    sha512: Option<HexDigest<64>>,
}

#[async_trait]
impl JsonReference for ArtifactParams {
    const KIND: &'static str = "artifact";

    fn validate(&self) -> Result<(), String> {
        require_non_empty("artifact", &self.artifact)
    }

    fn task(&self) -> Option<TaskId> {
        Some(self.task_id.clone())
    }

    async fn resolve(self, context: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        let hashes = Hashes::none().sha256(self.sha256).sha512(self.sha512);
        let (task_id, name) = (self.task_id, self.artifact);
        artifact_reference(context, task_id, self.run_id, name, hashes).await
    }
}

/// Fetches an artifact of the task that is indexed under a namespace:
/// `{"namespace": "project.v2.latest", "artifact": "public/…"}`.
///
/// The namespace is looked up each time the reference is resolved. The resolved reference names the artifact of one
/// task and run, with the cache key and the scopes of that artifact.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexFetcher;

impl_fetcher!(IndexFetcher, IndexParams);

/// An artifact of the task that is indexed under a namespace.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Indexed artifact")]
struct IndexParams {
    /// The namespace in the index, such as `project.v2.latest`.
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

#[async_trait]
impl JsonReference for IndexParams {
    const KIND: &'static str = "index";

    fn validate(&self) -> Result<(), String> {
        require_non_empty("artifact", &self.artifact)?;
        if !is_namespace(&self.namespace) {
            return Err(
                "`namespace` must be words of letters, digits and `_!~*'()%-`, joined by dots"
                    .to_owned(),
            );
        }
        Ok(())
    }

    async fn resolve(self, context: &FetchContext) -> Result<Arc<dyn Reference>, FetchError> {
        let (index, start) = (&context.services().index, Instant::now());
        let task = index.find_task(&self.namespace).await.map_err(|error| {
            let subject = format!("artifact `{}` of `{}`", self.artifact, self.namespace);
            FetchError::lookup(subject, start.elapsed(), error.into())
        })?;
        let hashes = Hashes::none().sha256(self.sha256).sha512(self.sha512);
        artifact_reference(context, task.task_id, None, self.artifact, hashes).await
    }
}

/// Returns whether the index service accepts a namespace.
fn is_namespace(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_!~*'()%-".contains(&byte))
    };
    text.len() <= 255 && text.split('.').all(is_word)
}

/// Creates a reference to the artifact of a run, by default the latest.
///
/// The run is part of the cache key, so a rerun of the task is another input.
async fn artifact_reference(
    context: &FetchContext,
    task_id: TaskId,
    run_id: Option<u32>,
    name: String,
    hashes: Hashes,
) -> Result<Arc<dyn Reference>, FetchError> {
    let start = Instant::now();
    let run_id = match run_id {
        Some(run_id) => run_id,
        None => latest_run(context, &task_id).await.map_err(|cause| {
            let subject = format!("artifact `{name}` of task {task_id}");
            FetchError::lookup(subject, start.elapsed(), cause)
        })?,
    };
    let origin = Origin::Artifact {
        task_id,
        run_id,
        name,
    };
    Ok(Arc::new(RemoteReference { origin, hashes }))
}

async fn latest_run(context: &FetchContext, task_id: &TaskId) -> Result<u32, AttemptError> {
    let status = context.services().queue.status(task_id).await?;
    status
        .runs
        // The queue lists runs in order; its own `latestArtifact` means the last one, too.
        .last()
        .map(|run| run.run_id)
        .ok_or(AttemptError::NoRun)
}
