//! Artifacts, as workers make them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::schemas;
use crate::call::{Call, Reply};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::services::s3::sign::{Grant, bucket_of};
use crate::shared::{Service, Shared};
use crate::slug::slug;
use crate::state::Task;
use crate::state::artifact::{Artifact, ArtifactKind};
use crate::state::task::{Run, TaskState};
use crate::time::{after, before, millis};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "createArtifact"),
        ("POST", "/task/<taskId>/runs/<runId>/artifacts/<name>"),
        Work::Now(create_artifact),
    )
    .takes(&schemas::CREATE_ARTIFACT),
    Method::new(
        ("queue", "finishArtifact"),
        ("PUT", "/task/<taskId>/runs/<runId>/artifacts/<name>"),
        Work::Now(finish_artifact),
    )
    .takes(&schemas::FINISH_ARTIFACT),
];

/// How long URLs for uploads are good.
const UPLOAD: Duration = Duration::from_secs(45 * 60);
/// How long after an exception a worker may still add artifacts.
const GRACE: Duration = Duration::from_secs(25 * 60);
/// How long the credentials to upload an object are good, at most.
const OBJECT_UPLOAD: Duration = Duration::from_secs(24 * 60 * 60);

fn create_artifact(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    check_fields(call)?;
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    shared.read(|state| known_run(state.tasks.get(task_id), run_id).map(|_| ()))?;
    call.require_scope(format!("queue:create-artifact:{task_id}/{run_id}"))?;
    let artifact = requested(call);
    let (stored, project, worker) = shared.update(|state| {
        let task = state.tasks.get_mut(task_id);
        let run = known_run(task.as_deref(), run_id)?;
        let worker = worker_of(run);
        let task = task.ok_or_else(|| RequestError::input("Task not found"))?;
        let stored = declare(task, run_id, artifact, call.now)?;
        Ok((stored, task.definition.project_id.clone(), worker))
    })?;
    Reply::json(&match &stored.kind {
        ArtifactKind::S3 => s3_answer(shared, call, &stored),
        ArtifactKind::Object { upload_id, .. } => {
            object_answer(shared, call, &stored, upload_id, (&project, &worker))
        }
        kind => json!({ "storageType": kind.storage_type() }),
    })
}

/// Refuses properties that the kind of artifact lacks or does not have.
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
    let odd = fields.filter(|name| !known(name));
    errors.extend(odd.map(|name| format!("data must NOT have additional properties: {name:?}")));
    schemas::CREATE_ARTIFACT.refuse(&errors)
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

fn requested(call: &Call) -> Artifact {
    let text = |name: &str| call.text(name).to_owned();
    let kind = match call.text("storageType") {
        "s3" => ArtifactKind::S3,
        "object" => ArtifactKind::Object {
            upload_id: slug(),
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
    Artifact {
        name: call.param("name").to_owned(),
        content_type: content_type.unwrap_or("application/binary").to_owned(),
        expires: call.instant("expires"),
        content_length: call.payload.get("contentLength").and_then(Value::as_u64),
        kind,
    }
}

/// Stores the artifact if run, expiry and what is already there allow it.
fn declare(
    task: &mut Task,
    run_id: u32,
    new: Artifact,
    now: Timestamp,
) -> Result<Artifact, RequestError> {
    check_open(task, run_id, now)?;
    check_expiry(&new, task.definition.expires, now)?;
    let key = (run_id, new.name.clone());
    let Some(old) = task.artifacts.get_mut(&key) else {
        task.artifacts.insert(key, new.clone());
        return Ok(new);
    };
    if !old.accepts(&new) {
        return Err(RequestError::conflict(format!(
            "Artifact `{}` already exists with other properties: it is a {} of content type `{}` that expires {}",
            old.name,
            old.kind.storage_type(),
            old.content_type,
            millis(old.expires)
        )));
    }
    old.expires = new.expires;
    if let ArtifactKind::Reference { .. } = old.kind {
        *old = new;
    }
    Ok(old.clone())
}

fn check_open(task: &Task, run_id: u32, now: Timestamp) -> Result<(), RequestError> {
    let run = known_run(Some(task), run_id)?;
    let open = match (run.status.state, run.status.resolved) {
        (TaskState::Running, _) => true,
        (TaskState::Exception, Some(resolved)) => after(resolved, GRACE) > now,
        _ => false,
    };
    if open {
        return Ok(());
    }
    let status = serde_json::to_string_pretty(&task.status()).unwrap_or_default();
    Err(RequestError::conflict(format!(
        "Artifacts cannot be created for a task after it is resolved, unless it is resolved 'exception', and even in this case only up to 25 min past resolution.\n\nTask status: {status}"
    )))
}

fn check_expiry(
    new: &Artifact,
    task_expires: Timestamp,
    now: Timestamp,
) -> Result<(), RequestError> {
    let expires = millis(new.expires);
    match () {
        () if new.expires > task_expires => Err(RequestError::input(format!(
            "Artifact expires ({expires}) after the task expiration {} (task.expires < expires) - this is not allowed, artifacts may not expire after the task they belong to expires",
            millis(task_expires)
        ))),
        () if new.expires < now => Err(RequestError::input(format!(
            "Artifact expires ({expires}) in the past"
        ))),
        () => Ok(()),
    }
}

fn s3_answer(shared: &Shared, call: &Call, artifact: &Artifact) -> Value {
    let key = s3_key(call.param("taskId"), call.run_id(), &artifact.name);
    let expires = match call.quirks.expired_urls {
        false => after(call.now, UPLOAD),
        true => before(call.now, UPLOAD),
    };
    let length = artifact.content_length.map(|length| length.to_string());
    let strict = shared.settings.strict_uploads;
    let grant = Grant {
        verb: "PUT",
        key: &key,
        expires,
        content_type: strict.then_some(artifact.content_type.as_str()),
        content_length: length.as_deref().filter(|_| strict),
    };
    json!({
        "storageType": "s3",
        "contentType": artifact.content_type,
        "expires": millis(expires),
        "putUrl": grant.url(shared),
    })
}

/// Where the bytes of an s3 artifact are.
pub(crate) fn s3_key(task_id: &str, run_id: u32, name: &str) -> String {
    format!("{}/{task_id}/{run_id}/{name}", bucket_of(name))
}

/// The name of the object that holds the bytes of an object artifact.
pub(crate) fn object_name(task_id: &str, run_id: u32, name: &str) -> String {
    format!("t/{task_id}/{run_id}/{name}")
}

fn object_answer(
    shared: &Shared,
    call: &Call,
    artifact: &Artifact,
    upload_id: &str,
    (project, worker): (&str, &str),
) -> Value {
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    let name = object_name(task_id, run_id, &artifact.name);
    let scope = format!("object:upload:{project}:{name}");
    let client_id = format!("artifact-upload/{task_id}/{run_id}/on/{worker}");
    let end = artifact.expires.min(after(call.now, OBJECT_UPLOAD));
    let lifetime = match call.quirks.expired_credentials {
        false => (call.now, end),
        true => (before(call.now, OBJECT_UPLOAD), before(call.now, UPLOAD)),
    };
    json!({
        "storageType": "object",
        "name": name,
        "projectId": project,
        "uploadId": upload_id,
        "expires": millis(artifact.expires),
        "credentials": shared.issue(Service::Queue, client_id, vec![scope], lifetime),
    })
}

fn finish_artifact(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let (task_id, run_id, name) = (call.param("taskId"), call.run_id(), call.param("name"));
    call.require_scope(format!("queue:create-artifact:{task_id}/{run_id}"))?;
    let object = object_name(task_id, run_id, name);
    shared.update(|state| {
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
                "the upload of the object is not finished",
            ));
        }
        *finished = true;
        Ok(())
    })?;
    Reply::no_content()
}
