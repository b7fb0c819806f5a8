//! Access to artifacts for readers.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, LOCATION};
use serde_json::{Value, json};

use super::artifacts::object_name;
use super::found_artifact::{FoundArtifact, artifact_not_found, latest_run};
use crate::call::{ApiResult, Call, Reply};
use crate::context::{IssuingService, ServerContext};
use crate::error::RequestError;
use crate::method::Method;
use crate::scopes::Expression;
use crate::state::State;
use crate::state::artifact::{ArtifactKind, DeclaredArtifact};
use crate::state::tasks::TaskRef;
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

/// The lifetime of credentials to download an object.
const OBJECT_CREDENTIALS_LIFETIME: Duration = Duration::from_secs(60 * 60);

const STORAGE_TYPE: HeaderName = HeaderName::from_static("x-taskcluster-artifact-storage-type");

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
        let artifact = state
            .artifacts
            .visible(&task.id, run_id, call.param("name"));
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
        let artifacts = state.artifacts.of_run(&task.id, run_id);
        let visible = artifacts.filter(|artifact| artifact.is_visible());
        Ok::<_, RequestError>(call.page(visible.map(DeclaredArtifact::entry)))
    })?;
    Reply::page("artifacts", &page)
}

fn listed_run<'a>(state: &'a State, call: &Call) -> Result<(TaskRef<'a>, u32), RequestError> {
    let task = state.tasks.get(call.param("taskId"))?;
    let task = task.ok_or_else(|| RequestError::not_found("Task not found"))?;
    let run_id = given_run(call).map_or_else(|| latest_run(&task), Ok)?;
    Ok((task, run_id))
}
