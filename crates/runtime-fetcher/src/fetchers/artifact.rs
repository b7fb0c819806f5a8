//! `{"taskId": …, "artifact": …}`: what another task left behind.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use runtime_core::TaskId;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::content::locate_content;
use super::params::{parse, schema};
use crate::download::{Location, Source, download};
use crate::hash::{Hashes, HexDigest};
use crate::{
    AttemptError, FetchContext, FetchError, Fetched, Fetcher, HashKey, InvalidReference, Reference,
    RequiredScopes, Target,
};

/// Fetches an artifact: `{"taskId": …, "artifact": "public/…"}`, with `runId` for a certain run.
///
/// Without `runId`, the latest run is looked up when the reference is resolved. `sha256` and
/// `sha512` are checked if they are given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArtifactFetcher;

/// What another task left behind.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Artifact")]
struct Params {
    /// The task that made it.
    #[schemars(
        with = "String",
        regex(
            pattern = r"^[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$"
        )
    )]
    task_id: TaskId,
    /// The run that made it; the latest one if it is not given.
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
impl Fetcher for ArtifactFetcher {
    fn name(&self) -> &'static str {
        "artifact"
    }

    fn schema(&self) -> Value {
        schema::<Params>()
    }

    fn check(&self, reference: &Value) -> Result<(), InvalidReference> {
        self.parse(reference).map(drop)
    }

    fn referenced_task(&self, reference: &Value) -> Option<TaskId> {
        Some(self.parse(reference).ok()?.task_id)
    }

    async fn resolve(
        &self,
        context: &FetchContext,
        reference: &Value,
    ) -> Result<Arc<dyn Reference>, FetchError> {
        let params = self.parse(reference)?;
        let hashes = Hashes::none().sha256(params.sha256).sha512(params.sha512);
        let reference = ArtifactReference::find(
            context,
            params.task_id,
            params.run_id,
            params.artifact,
            hashes,
        );
        Ok(Arc::new(reference.await?))
    }
}

impl ArtifactFetcher {
    fn parse(self, reference: &Value) -> Result<Params, InvalidReference> {
        let params: Params = parse(self.name(), reference)?;
        if params.artifact.is_empty() {
            return Err(InvalidReference::new(self.name(), "`artifact` is empty"));
        }
        Ok(params)
    }
}

/// An artifact of a certain run.
#[derive(Debug)]
pub(super) struct ArtifactReference {
    task_id: TaskId,
    run_id: u32,
    name: String,
    hashes: Hashes,
}

impl ArtifactReference {
    /// Makes a reference to an artifact of the given run, or of the latest one.
    pub(super) async fn find(
        context: &FetchContext,
        task_id: TaskId,
        run_id: Option<u32>,
        name: String,
        hashes: Hashes,
    ) -> Result<Self, FetchError> {
        let start = Instant::now();
        let run_id = match run_id {
            Some(run_id) => run_id,
            None => latest_run(context, &task_id).await.map_err(|cause| {
                let subject = format!("artifact `{name}` of task {task_id}");
                FetchError::of_look_up(subject, start.elapsed(), cause)
            })?,
        };
        Ok(Self {
            task_id,
            run_id,
            name,
            hashes,
        })
    }
}

async fn latest_run(context: &FetchContext, task_id: &TaskId) -> Result<u32, AttemptError> {
    let status = context.services().queue.status(task_id).await?;
    status
        .runs
        .last()
        .map(|run| run.run_id)
        .ok_or(AttemptError::NoRun)
}

#[async_trait]
impl Reference for ArtifactReference {
    fn subject(&self) -> String {
        format!(
            "artifact `{}` of task {}/{}",
            self.name, self.task_id, self.run_id
        )
    }

    /// Not shared with a URL of the same hash, because whoever knows only the hash of a private
    /// artifact must not get it.
    fn hash_key(&self) -> HashKey {
        let parts = [
            self.task_id.to_string(),
            self.run_id.to_string(),
            self.name.clone(),
        ];
        HashKey::new("artifact", parts.into_iter().chain(self.hashes.key_parts()))
    }

    fn scopes(&self) -> RequiredScopes {
        if self.name.starts_with("public/") {
            return RequiredScopes::none();
        }
        RequiredScopes::all_of([format!("queue:get-artifact:{}", self.name)])
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
impl Source for ArtifactReference {
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError> {
        let services = context.services();
        let content = services
            .queue
            .artifact(&self.task_id, Some(self.run_id), &self.name)
            .await?;
        locate_content(services, content, &self.hashes).await
    }
}
