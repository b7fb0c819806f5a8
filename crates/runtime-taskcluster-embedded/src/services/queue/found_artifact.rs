//! Lookup of artifacts, which follows links.

use std::time::Duration;

use jiff::Timestamp;

use super::artifacts::{object_name, s3_key};
use crate::context::ServerContext;
use crate::error::{ErrorCode, RequestError};
use crate::services::s3::presign::{PUBLIC_BUCKET, PresignedUrl, bucket_of};
use crate::state::State;
use crate::state::artifact::{ArtifactKind, DeclaredArtifact};
use crate::state::task::Task;
use crate::time::after;

/// The lifetime of a download URL.
const DOWNLOAD_URL_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The longest chain of links that is followed. A longer one is taken for a cycle.
const MAX_LINKS: usize = 32;

/// An artifact after links were followed.
pub(crate) struct FoundArtifact {
    pub(crate) task_id: String,
    pub(crate) run_id: u32,
    pub(crate) artifact: DeclaredArtifact,
}

impl FoundArtifact {
    /// Returns bucket and key in the S3-like store, for the kinds with stored content.
    pub(crate) fn key(&self) -> Option<String> {
        let name = &self.artifact.name;
        match self.artifact.kind {
            ArtifactKind::S3 => Some(s3_key(&self.task_id, self.run_id, name)),
            ArtifactKind::Object { .. } => Some(format!(
                "{PUBLIC_BUCKET}/{}",
                object_name(&self.task_id, self.run_id, name)
            )),
            _ => None,
        }
    }

    /// Returns a URL of the content.
    pub(crate) fn url(&self, context: &ServerContext, now: Timestamp) -> Option<String> {
        if let ArtifactKind::Reference { url } = &self.artifact.kind {
            return Some(url.clone());
        }
        let key = self.key()?;
        let is_public = bucket_of(&self.artifact.name) == PUBLIC_BUCKET;
        Some(if self.artifact.kind == ArtifactKind::S3 && is_public {
            PresignedUrl::unsigned(context, &key)
        } else {
            PresignedUrl::download(&key, after(now, DOWNLOAD_URL_LIFETIME)).sign(context)
        })
    }

    /// Finds an artifact of a run, or of the latest one, and follows links.
    ///
    /// `may_read` is called with each name, so that a link cannot reveal an artifact that its reader
    /// has no scopes for.
    pub(crate) fn find(
        context: &ServerContext,
        task_id: &str,
        run_id: Option<u32>,
        name: &str,
        may_read: impl Fn(&str) -> Result<(), RequestError>,
    ) -> Result<Self, RequestError> {
        let mut name = name.to_owned();
        for _ in 0..MAX_LINKS {
            may_read(&name)?;
            let found = context.read(|state| Self::look_up(state, task_id, run_id, &name))?;
            if found.artifact.expires < context.now() {
                return Err(RequestError::new(
                    ErrorCode::ResourceExpired,
                    "Artifact has expired",
                ));
            }
            match &found.artifact.kind {
                ArtifactKind::Link { artifact } => name.clone_from(artifact),
                _ => return Ok(found),
            }
        }
        Err(artifact_not_found())
    }

    fn look_up(
        state: &State,
        task_id: &str,
        run_id: Option<u32>,
        name: &str,
    ) -> Result<Self, RequestError> {
        let latest = || {
            let task = state.tasks.get(task_id)?;
            latest_run(&*task.ok_or_else(|| RequestError::not_found("Task not found"))?)
        };
        let run_id = run_id.map_or_else(latest, Ok)?;
        let artifact = state.artifacts.visible(task_id, run_id, name);
        Ok(Self {
            task_id: task_id.to_owned(),
            run_id,
            artifact: artifact.ok_or_else(artifact_not_found)?.clone(),
        })
    }
}

pub(super) fn artifact_not_found() -> RequestError {
    RequestError::not_found("Artifact not found")
}

/// Returns the id of the latest run.
pub(super) fn latest_run(task: &Task) -> Result<u32, RequestError> {
    let latest = task.runs.last().map(|run| run.status.run_id);
    latest.ok_or_else(|| RequestError::not_found("Task doesn't have any runs"))
}
