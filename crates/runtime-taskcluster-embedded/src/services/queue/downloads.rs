//! Access to artifacts for readers.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, LOCATION};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::artifacts::{object_name, s3_key};
use crate::call::{ApiResult, Call, Reply};
use crate::context::{IssuingService, ServerContext};
use crate::error::{ErrorCode, RequestError};
use crate::method::Method;
use crate::scopes::Expression;
use crate::services::s3::presign::{PUBLIC_BUCKET, PresignedUrl, bucket_of};
use crate::state::State;
use crate::state::artifact::{ArtifactKind, DeclaredArtifact};
use crate::state::task::Task;
use crate::time::after;

pub(super) const METHODS: &[Method] = &[
    Method::get(
        "getArtifact",
        "/task/<taskId>/runs/<runId>/artifacts/<name>",
        get_artifact,
    ),
    Method::get(
        "listArtifacts",
        "/task/<taskId>/runs/<runId>/artifacts",
        list_artifacts,
    ),
    Method::get(
        "getLatestArtifact",
        "/task/<taskId>/artifacts/<name>",
        get_artifact,
    ),
    Method::get(
        "listLatestArtifacts",
        "/task/<taskId>/artifacts",
        list_artifacts,
    ),
    Method::get(
        "artifactInfo",
        "/task/<taskId>/runs/<runId>/artifact-info/<name>",
        artifact_info,
    ),
    Method::get(
        "latestArtifactInfo",
        "/task/<taskId>/artifact-info/<name>",
        artifact_info,
    ),
    Method::get(
        "artifact",
        "/task/<taskId>/runs/<runId>/artifact-content/<name>",
        artifact,
    ),
    Method::get(
        "latestArtifact",
        "/task/<taskId>/artifact-content/<name>",
        artifact,
    ),
];

/// The lifetime of a download URL.
const DOWNLOAD_URL_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The lifetime of credentials to download an object.
const OBJECT_CREDENTIALS_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The longest chain of links that is followed. A longer one is taken for a cycle.
const MAX_LINKS: usize = 32;

const STORAGE_TYPE: HeaderName = HeaderName::from_static("x-taskcluster-artifact-storage-type");

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
        let task = state.tasks.get(task_id);
        let run_id = match (run_id, task) {
            (Some(run_id), _) => run_id,
            (None, None) => return Err(RequestError::not_found("Task not found")),
            (None, Some(task)) => latest_run(task)?,
        };
        let artifact = task.and_then(|task| visible_artifact(task, run_id, name));
        Ok(Self {
            task_id: task_id.to_owned(),
            run_id,
            artifact: artifact.ok_or_else(artifact_not_found)?.clone(),
        })
    }
}

fn artifact_not_found() -> RequestError {
    RequestError::not_found("Artifact not found")
}

fn visible_artifact<'a>(task: &'a Task, run_id: u32, name: &str) -> Option<&'a DeclaredArtifact> {
    let artifact = task.artifacts.get(&(run_id, name.to_owned()));
    artifact.filter(|artifact| artifact.is_visible())
}

fn latest_run(task: &Task) -> Result<u32, RequestError> {
    let latest = task.runs.last().map(|run| run.status.run_id);
    latest.ok_or_else(|| RequestError::not_found("Task doesn't have any runs"))
}

fn find_for(context: &ServerContext, call: &Call) -> Result<FoundArtifact, RequestError> {
    let may_read = |name: &str| {
        let scope = Expression::scope(format!("queue:get-artifact:{name}"));
        // The real queue wraps the scope, which shows in the error.
        call.require(Expression::all([scope]))
    };
    FoundArtifact::find(
        context,
        call.param("taskId"),
        given_run(call),
        call.param("name"),
        may_read,
    )
}

/// Returns the run in the path. The `latest` methods have none.
fn given_run(call: &Call) -> Option<u32> {
    let is_given = call.params.iter().any(|(name, _)| *name == "runId");
    is_given.then(|| call.run_id())
}

/// Redirects to the content. An error artifact is a 424.
pub(crate) fn redirect(context: &ServerContext, call: &Call, found: &FoundArtifact) -> ApiResult {
    let storage_type = found.artifact.kind.storage_type();
    if let ArtifactKind::Error { reason, message } = &found.artifact.kind {
        let reply = Reply::json(&json!({ "reason": reason, "message": message }))?;
        let reply = reply.with_status(StatusCode::FAILED_DEPENDENCY);
        return Ok(reply.with_header(STORAGE_TYPE, storage_type));
    }
    let url = found.url(context, call.now).unwrap_or_default();
    let reply = Reply::json(&json!({ "storageType": storage_type, "url": url }))?;
    let reply = reply.with_status(StatusCode::SEE_OTHER);
    Ok(reply
        .with_header(STORAGE_TYPE, storage_type)
        .with_header(LOCATION, &url))
}

fn get_artifact(context: &ServerContext, call: &Call) -> ApiResult {
    redirect(context, call, &find_for(context, call)?)
}

fn artifact(context: &ServerContext, call: &Call) -> ApiResult {
    let found = find_for(context, call)?;
    let storage_type = found.artifact.kind.storage_type();
    let name = object_name(&found.task_id, found.run_id, &found.artifact.name);
    let body: Value = match &found.artifact.kind {
        ArtifactKind::Error { reason, message } => {
            json!({ "storageType": storage_type, "reason": reason, "message": message })
        }
        ArtifactKind::Object { .. } => {
            let scopes = vec![format!("object:download:{name}")];
            let client_id = format!("artifact-download/{}", name.trim_start_matches("t/"));
            let lifetime = (call.now, after(call.now, OBJECT_CREDENTIALS_LIFETIME));
            let credentials = context.issue(IssuingService::Queue, client_id, scopes, lifetime);
            json!({ "storageType": storage_type, "name": name, "credentials": credentials })
        }
        _ => json!({ "storageType": storage_type, "url": found.url(context, call.now) }),
    };
    Reply::json(&body)
}

fn require_list(call: &Call) -> Result<(), RequestError> {
    let task_id = call.param("taskId");
    call.require_scope(match given_run(call) {
        Some(run_id) => format!("queue:list-artifacts:{task_id}:{run_id}"),
        None => format!("queue:list-artifacts:{task_id}"),
    })
}

fn artifact_info(context: &ServerContext, call: &Call) -> ApiResult {
    require_list(call)?;
    let entry = context.read(|state| {
        let (task, run_id) = listed_run(state, call)?;
        let artifact = visible_artifact(task, run_id, call.param("name"));
        artifact
            .map(DeclaredArtifact::entry)
            .ok_or_else(artifact_not_found)
    })?;
    Reply::json(&entry)
}

fn list_artifacts(context: &ServerContext, call: &Call) -> ApiResult {
    require_list(call)?;
    let page = context.read(|state| {
        let (task, run_id) = listed_run(state, call)?;
        task.run(run_id)
            .ok_or_else(|| RequestError::not_found("Run not found"))?;
        let artifacts = task.artifacts_of(run_id);
        let visible = artifacts.filter(|artifact| artifact.is_visible());
        Ok::<_, RequestError>(call.page(visible.map(DeclaredArtifact::entry)))
    })?;
    Reply::page("artifacts", &page)
}

fn listed_run<'a>(state: &'a State, call: &Call) -> Result<(&'a Task, u32), RequestError> {
    let task = state.tasks.get(call.param("taskId"));
    let task = task.ok_or_else(|| RequestError::not_found("Task not found"))?;
    let run_id = given_run(call).map_or_else(|| latest_run(task), Ok)?;
    Ok((task, run_id))
}
