//! Declaration of artifacts by workers.

use std::time::Duration;

use serde_json::{Value, json};

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::{IssuingService, ServerContext};
use crate::error::RequestError;
use crate::method::Method;
use crate::services::s3::presign::{PresignedUrl, bucket_of};
use crate::slugid::slugid;
use crate::state::artifact::{ArtifactKind, DeclaredArtifact};
use crate::state::objects::Object;
use crate::state::task::Run;
use crate::time::{after, millis};

pub(super) const METHODS: &[Method] = &[
    Method::post(
        "createArtifact",
        "/task/<taskId>/runs/<runId>/artifacts/<name>",
        create_artifact,
    )
    .with_schema(&schemas::CREATE_ARTIFACT),
    Method::put(
        "finishArtifact",
        "/task/<taskId>/runs/<runId>/artifacts/<name>",
        finish_artifact,
    )
    .with_schema(&schemas::FINISH_ARTIFACT),
];

/// The lifetime of an upload URL.
const UPLOAD_URL_LIFETIME: Duration = Duration::from_secs(45 * 60);
/// The longest lifetime of credentials to upload an object.
const MAX_OBJECT_CREDENTIALS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

fn create_artifact(context: &ServerContext, call: &Call) -> ApiResult {
    check_fields(call)?;
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    // Unknown tasks and runs are a 400 even for callers without the scope, as in the real queue.
    context.read(|state| {
        let task = find_task(state.tasks.get(task_id))?;
        task.artifact_run(run_id).map(|_| ())
    })?;
    call.require_scope(format!("queue:create-artifact:{task_id}/{run_id}"))?;
    let artifact = requested_artifact(call);
    let (stored, project, worker) = context.update(|state| {
        let task = find_task(state.tasks.get(task_id))?;
        let worker = worker_of(task.artifact_run(run_id)?);
        let project = task.definition.project_id.clone();
        task.check_artifact(run_id, &artifact, call.now)?;
        if let ArtifactKind::Object { upload_id, .. } = &artifact.kind {
            // The real queue reserves the name of the object before it looks for an earlier declaration, and does not
            // expect that the object service refuses.
            let name = object_name(task_id, run_id, &artifact.name);
            let object = Object::new(&project, upload_id, artifact.expires);
            let started = state.objects.start(&name, &object, &Value::Null);
            started.map_err(|_| RequestError::internal())?;
        }
        let artifacts = &mut state.artifacts;
        artifacts.check_earlier(task_id, run_id, &artifact)?;
        // Not before the checks: an artifact that may change is written to the journal.
        let stored = artifacts.declare(task_id, run_id, artifact);
        Ok::<_, RequestError>((stored, project, worker))
    })?;
    Reply::json(&match &stored.kind {
        ArtifactKind::S3 => s3_response(context, call, &stored),
        ArtifactKind::Object { upload_id, .. } => {
            object_response(context, call, &stored, upload_id, (&project, &worker))
        }
        kind => json!({ "storageType": kind.storage_type() }),
    })
}

/// Checks the properties that depend on the storage type.
fn check_fields(call: &Call) -> Result<(), RequestError> {
    let (required, optional) = schemas::artifact_fields(call.text("storageType"));
    let given = |name: &str| call.payload.get(name).is_some();
    let mut errors: Vec<_> = required
        .iter()
        .filter(|name| !given(name))
        .map(|name| format!("data must have required property '{name}'"))
        .collect();
    let known = |name: &str| {
        ["storageType", "expires"].contains(&name)
            || required.contains(&name)
            || optional.contains(&name)
    };
    let fields = call
        .payload
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    let unknown = fields.filter(|name| !known(name));
    errors
        .extend(unknown.map(|name| format!("data must NOT have additional properties: {name:?}")));
    schemas::CREATE_ARTIFACT.fail_with(&errors)
}

fn find_task<T>(task: Result<Option<T>, RequestError>) -> Result<T, RequestError> {
    task?.ok_or_else(|| RequestError::input("Task not found"))
}

fn worker_of(run: &Run) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    format!(
        "{}/{}",
        text(&run.status.worker_group),
        text(&run.status.worker_id)
    )
}

fn requested_artifact(call: &Call) -> DeclaredArtifact {
    let text = |name: &str| call.text(name).to_owned();
    let kind = match call.text("storageType") {
        "s3" => ArtifactKind::S3,
        "object" => ArtifactKind::Object {
            upload_id: slugid(),
            finished: false,
        },
        "reference" => ArtifactKind::Reference { url: text("url") },
        "link" => ArtifactKind::Link {
            artifact: text("artifact"),
        },
        _ => ArtifactKind::Error {
            reason: text("reason"),
            message: text("message"),
        },
    };
    let content_type = call.payload.get("contentType").and_then(Value::as_str);
    DeclaredArtifact {
        name: call.param("name").to_owned(),
        content_type: content_type.unwrap_or("application/binary").to_owned(),
        expires: call.instant("expires"),
        content_length: call.payload.get("contentLength").and_then(Value::as_u64),
        kind,
    }
}

fn s3_response(context: &ServerContext, call: &Call, artifact: &DeclaredArtifact) -> Value {
    let key = s3_key(call.param("taskId"), call.run_id(), &artifact.name);
    let expires = call.url_expiry(UPLOAD_URL_LIFETIME);
    let length = artifact.content_length.map(|length| length.to_string());
    let is_strict = context.settings.strict_uploads;
    // By default the URL does not fix the headers, as in a real deployment.
    let put_url = PresignedUrl {
        verb: "PUT",
        key: &key,
        expires,
        content_type: is_strict.then_some(artifact.content_type.as_str()),
        content_length: length.as_deref().filter(|_| is_strict),
    };
    json!({
        "storageType": "s3",
        "contentType": artifact.content_type,
        "expires": millis(expires),
        "putUrl": put_url.sign(context),
    })
}

/// Returns the bucket and key of an s3 artifact.
pub(crate) fn s3_key(task_id: &str, run_id: u32, name: &str) -> String {
    format!("{}/{task_id}/{run_id}/{name}", bucket_of(name))
}

/// Returns the name of the object of an object artifact.
pub(crate) fn object_name(task_id: &str, run_id: u32, name: &str) -> String {
    format!("t/{task_id}/{run_id}/{name}")
}

fn object_response(
    context: &ServerContext,
    call: &Call,
    artifact: &DeclaredArtifact,
    upload_id: &str,
    (project, worker): (&str, &str),
) -> Value {
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    let name = object_name(task_id, run_id, &artifact.name);
    let scope = format!("object:upload:{project}:{name}");
    let client_id = format!("artifact-upload/{task_id}/{run_id}/on/{worker}");
    let max_expiry = after(call.now, MAX_OBJECT_CREDENTIALS_LIFETIME);
    let lifetime = call.credentials_lifetime(call.now, artifact.expires.min(max_expiry));
    json!({
        "storageType": "object",
        "name": name,
        "projectId": project,
        "uploadId": upload_id,
        "expires": millis(artifact.expires),
        "credentials": context.issue(IssuingService::Queue, client_id, vec![scope], lifetime),
    })
}

fn finish_artifact(context: &ServerContext, call: &Call) -> ApiResult {
    let (task_id, run_id, name) = (call.param("taskId"), call.run_id(), call.param("name"));
    call.require_scope(format!("queue:create-artifact:{task_id}/{run_id}"))?;
    let object = object_name(task_id, run_id, name);
    context.update(|state| {
        let uploaded = state.objects.is_finished(&object);
        let artifact = state.artifacts.get(task_id, run_id, name);
        let artifact = artifact.ok_or_else(|| unknown_artifact(call))?;
        let has_length = artifact.content_length.is_some();
        let ArtifactKind::Object {
            upload_id,
            finished,
        } = &artifact.kind
        else {
            return Err(RequestError::input("Only object artifacts can be finished"));
        };
        if !*finished && *upload_id != call.text("uploadId") {
            return Err(RequestError::input(
                "given uploadId does not match that for the artifact",
            ));
        }
        if !*finished && !uploaded {
            return Err(RequestError::input(
                "Object storing artifact data does not exist",
            ));
        }
        // Not before the checks: an artifact that may change is written to the journal.
        if !*finished {
            state.artifacts.finish(task_id, run_id, name);
        }
        if has_length {
            // The real queue then publishes a message whose schema does not allow a length.
            return Err(RequestError::internal());
        }
        Ok(())
    })?;
    Reply::no_content()
}

fn unknown_artifact(call: &Call) -> RequestError {
    RequestError::not_found(format!(
        "Artifact with taskId `{}`, runId {}, name `{}` not found",
        call.param("taskId"),
        call.run_id(),
        call.param("name"),
    ))
}
