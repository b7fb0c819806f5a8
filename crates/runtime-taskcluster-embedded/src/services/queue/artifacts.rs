//! Declaration of artifacts by workers.

use std::time::Duration;

use jiff::Timestamp;
use runtime_core::queue::TaskState;
use serde_json::{Value, json};

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::{IssuingService, ServerContext};
use crate::error::RequestError;
use crate::method::Method;
use crate::services::s3::presign::{PresignedUrl, bucket_of};
use crate::slugid::slugid;
use crate::state::artifact::{ArtifactKind, DeclaredArtifact};
use crate::state::task::{Run, Task};
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
/// The time after an exception in which a worker may still declare artifacts.
const EXCEPTION_GRACE_PERIOD: Duration = Duration::from_secs(25 * 60);
/// The longest lifetime of credentials to upload an object.
const MAX_OBJECT_CREDENTIALS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

fn create_artifact(context: &ServerContext, call: &Call) -> ApiResult {
    check_fields(call)?;
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    context.read(|state| known_run(state.tasks.get(task_id), run_id).map(|_| ()))?;
    call.require_scope(format!("queue:create-artifact:{task_id}/{run_id}"))?;
    let artifact = requested_artifact(call);
    let (stored, project, worker) = context.update(|state| {
        let task = state.tasks.get_mut(task_id);
        let run = known_run(task.as_deref(), run_id)?;
        let worker = worker_of(run);
        let task = task.ok_or_else(|| RequestError::input("Task not found"))?;
        let stored = declare(task, run_id, artifact, call.now)?;
        Ok((stored, task.definition.project_id.clone(), worker))
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

fn known_run(task: Option<&Task>, run_id: u32) -> Result<&Run, RequestError> {
    let task = task.ok_or_else(|| RequestError::input("Task not found"))?;
    task.run(run_id)
        .ok_or_else(|| RequestError::input("Run not found"))
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

/// Stores the artifact if the run, the expiry and an earlier declaration allow it.
fn declare(
    task: &mut Task,
    run_id: u32,
    new: DeclaredArtifact,
    now: Timestamp,
) -> Result<DeclaredArtifact, RequestError> {
    check_run(task, run_id, now)?;
    check_expiry(&new, task.definition.expires, now)?;
    let key = (run_id, new.name.clone());
    let Some(old) = task.artifacts.get_mut(&key) else {
        task.artifacts.insert(key, new.clone());
        return Ok(new);
    };
    if !old.may_become(&new) {
        return Err(RequestError::conflict(format!(
            "Artifact `{}` already exists with other properties: it is a {} of content type `{}` that expires {}",
            old.name,
            old.kind.storage_type(),
            old.content_type,
            millis(old.expires)
        )));
    }
    old.expires = new.expires;
    // All other kinds keep their properties. An object keeps its upload id, so that the upload that
    // a worker has started continues after a retry of the declaration.
    if let ArtifactKind::Reference { .. } = old.kind {
        *old = new;
    }
    Ok(old.clone())
}

fn check_run(task: &Task, run_id: u32, now: Timestamp) -> Result<(), RequestError> {
    let run = known_run(Some(task), run_id)?;
    let is_open = match (&run.status.state, run.status.resolved) {
        (TaskState::Running, _) => true,
        (TaskState::Exception, Some(resolved)) => after(resolved, EXCEPTION_GRACE_PERIOD) > now,
        _ => false,
    };
    if is_open {
        return Ok(());
    }
    let status = serde_json::to_string_pretty(&task.status()).unwrap_or_default();
    Err(RequestError::conflict(format!(
        "Artifacts cannot be created for a task after it is resolved, unless it is resolved 'exception', and even in this case only up to 25 min past resolution.\n\nTask status: {status}"
    )))
}

fn check_expiry(
    new: &DeclaredArtifact,
    task_expires: Timestamp,
    now: Timestamp,
) -> Result<(), RequestError> {
    let expires = millis(new.expires);
    if new.expires > task_expires {
        return Err(RequestError::input(format!(
            "Artifact expires ({expires}) after the task expiration {} (task.expires < expires) - this is not allowed, artifacts may not expire after the task they belong to expires",
            millis(task_expires)
        )));
    }
    if new.expires < now {
        return Err(RequestError::input(format!(
            "Artifact expires ({expires}) in the past"
        )));
    }
    Ok(())
}

fn s3_response(context: &ServerContext, call: &Call, artifact: &DeclaredArtifact) -> Value {
    let key = s3_key(call.param("taskId"), call.run_id(), &artifact.name);
    let expires = call.url_expiry(UPLOAD_URL_LIFETIME);
    let length = artifact.content_length.map(|length| length.to_string());
    let is_strict = context.settings.strict_uploads;
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
        let task = state
            .tasks
            .get_mut(task_id)
            .ok_or_else(|| RequestError::not_found("Task not found"))?;
        let artifact = task.artifacts.get_mut(&(run_id, name.to_owned()));
        let artifact = artifact.ok_or_else(|| RequestError::not_found("Artifact not found"))?;
        let ArtifactKind::Object {
            upload_id,
            finished,
        } = &mut artifact.kind
        else {
            return Err(RequestError::input("Only object artifacts can be finished"));
        };
        if *upload_id != call.text("uploadId") {
            return Err(RequestError::input(
                "given uploadId does not match that for the artifact",
            ));
        }
        if !uploaded {
            return Err(RequestError::input(
                "the upload of the object has not finished",
            ));
        }
        *finished = true;
        Ok(())
    })?;
    Reply::no_content()
}
