//! Artifacts, as readers find them.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, LOCATION};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::artifacts::{object_name, s3_key};
use crate::call::{Call, Reply, paginate};
use crate::error::{ErrorCode, RequestError};
use crate::router::{Method, Work};
use crate::services::s3::sign::{Grant, PUBLIC, bucket_of};
use crate::shared::{Service, Shared};
use crate::state::artifact::{Artifact, ArtifactKind};
use crate::time::after;

pub(crate) const METHODS: &[Method] = &[
    get(
        "getArtifact",
        "/task/<taskId>/runs/<runId>/artifacts/<name>",
        get_artifact,
    ),
    get(
        "listArtifacts",
        "/task/<taskId>/runs/<runId>/artifacts",
        list_artifacts,
    ),
    get(
        "getLatestArtifact",
        "/task/<taskId>/artifacts/<name>",
        get_artifact,
    ),
    get(
        "listLatestArtifacts",
        "/task/<taskId>/artifacts",
        list_artifacts,
    ),
    get(
        "artifactInfo",
        "/task/<taskId>/runs/<runId>/artifact-info/<name>",
        artifact_info,
    ),
    get(
        "latestArtifactInfo",
        "/task/<taskId>/artifact-info/<name>",
        artifact_info,
    ),
    get(
        "artifact",
        "/task/<taskId>/runs/<runId>/artifact-content/<name>",
        artifact,
    ),
    get(
        "latestArtifact",
        "/task/<taskId>/artifact-content/<name>",
        artifact,
    ),
];

const fn get(
    name: &'static str,
    path: &'static str,
    work: fn(&Shared, &Call) -> Result<Reply, RequestError>,
) -> Method {
    Method::new(("queue", name), ("GET", path), Work::Now(work))
}

/// How long URLs for downloads are good.
const DOWNLOAD: Duration = Duration::from_secs(30 * 60);
/// How long credentials to download an object are good.
const OBJECT_DOWNLOAD: Duration = Duration::from_secs(60 * 60);

const STORAGE_TYPE: HeaderName = HeaderName::from_static("x-taskcluster-artifact-storage-type");

/// An artifact after links were followed.
pub(crate) struct Found {
    pub(crate) task_id: String,
    pub(crate) run_id: u32,
    pub(crate) artifact: Artifact,
}

impl Found {
    /// Where the bytes are in the S3-like store, for the kinds that have them there.
    pub(crate) fn key(&self) -> Option<String> {
        let name = &self.artifact.name;
        match self.artifact.kind {
            ArtifactKind::S3 => Some(s3_key(&self.task_id, self.run_id, name)),
            ArtifactKind::Object { .. } => Some(format!(
                "{PUBLIC}/{}",
                object_name(&self.task_id, self.run_id, name)
            )),
            _ => None,
        }
    }

    /// A URL that gives the bytes.
    pub(crate) fn url(&self, shared: &Shared, now: Timestamp) -> Option<String> {
        if let ArtifactKind::Reference { url } = &self.artifact.kind {
            return Some(url.clone());
        }
        let key = self.key()?;
        let open =
            self.artifact.kind == ArtifactKind::S3 && bucket_of(&self.artifact.name) == PUBLIC;
        Some(match open {
            true => Grant::open_url(shared, &key),
            false => Grant::download(&key, after(now, DOWNLOAD)).url(shared),
        })
    }
}

/// Finds an artifact of a run, or of the last one, and follows links.
///
/// `may_read` is asked for each name on the way.
pub(crate) fn find(
    shared: &Shared,
    task_id: &str,
    run_id: Option<u32>,
    name: &str,
    may_read: impl Fn(&str) -> Result<(), RequestError>,
) -> Result<Found, RequestError> {
    let mut name = name.to_owned();
    // A chain of links that is longer goes in circles.
    for _ in 0..32 {
        may_read(&name)?;
        let found = shared.read(|state| {
            let task = state.tasks.get(task_id);
            let run_id = match (run_id, task) {
                (Some(run_id), _) => run_id,
                (None, None) => return Err(RequestError::not_found("Task not found")),
                (None, Some(task)) => latest_run(task.runs.len())?,
            };
            let artifact = task.and_then(|task| task.artifacts.get(&(run_id, name.clone())));
            let artifact = artifact.filter(|artifact| artifact.is_visible());
            let artifact = artifact.ok_or_else(|| RequestError::not_found("Artifact not found"))?;
            Ok(Found {
                task_id: task_id.to_owned(),
                run_id,
                artifact: artifact.clone(),
            })
        })?;
        if found.artifact.expires < shared.now() {
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
    Err(RequestError::not_found("Artifact not found"))
}

fn latest_run(runs: usize) -> Result<u32, RequestError> {
    let latest = runs
        .checked_sub(1)
        .ok_or_else(|| RequestError::not_found("Task doesn't have any runs"))?;
    Ok(latest as u32)
}

fn find_for(shared: &Shared, call: &Call) -> Result<Found, RequestError> {
    let may_read = |name: &str| {
        let scope = crate::scopes::Expression::scope(format!("queue:get-artifact:{name}"));
        call.require(crate::scopes::Expression::all([scope]))
    };
    find(
        shared,
        call.param("taskId"),
        given_run(call),
        call.param("name"),
        may_read,
    )
}

fn given_run(call: &Call) -> Option<u32> {
    let given = call.params.iter().any(|(name, _)| *name == "runId");
    given.then(|| call.run_id())
}

/// Redirects to the bytes; an error artifact is a 424.
pub(crate) fn redirect(shared: &Shared, call: &Call, found: &Found) -> Result<Reply, RequestError> {
    let storage_type = found.artifact.kind.storage_type();
    if let ArtifactKind::Error { reason, message } = &found.artifact.kind {
        let reply = Reply::json(&json!({ "reason": reason, "message": message }))?;
        let reply = reply.with_status(StatusCode::FAILED_DEPENDENCY);
        return Ok(reply.with_header(STORAGE_TYPE, storage_type));
    }
    let url = found.url(shared, call.now).unwrap_or_default();
    let reply = Reply::json(&json!({ "storageType": storage_type, "url": url }))?;
    let reply = reply.with_status(StatusCode::SEE_OTHER);
    Ok(reply
        .with_header(STORAGE_TYPE, storage_type)
        .with_header(LOCATION, &url))
}

fn get_artifact(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    redirect(shared, call, &find_for(shared, call)?)
}

fn artifact(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let found = find_for(shared, call)?;
    let storage_type = found.artifact.kind.storage_type();
    let name = object_name(&found.task_id, found.run_id, &found.artifact.name);
    let body: Value = match &found.artifact.kind {
        ArtifactKind::Error { reason, message } => {
            json!({ "storageType": storage_type, "reason": reason, "message": message })
        }
        ArtifactKind::Object { .. } => {
            let scopes = vec![format!("object:download:{name}")];
            let client_id = format!("artifact-download/{}", name.trim_start_matches("t/"));
            let lifetime = (call.now, after(call.now, OBJECT_DOWNLOAD));
            let credentials = shared.issue(Service::Queue, client_id, scopes, lifetime);
            json!({ "storageType": storage_type, "name": name, "credentials": credentials })
        }
        _ => json!({ "storageType": storage_type, "url": found.url(shared, call.now) }),
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

fn artifact_info(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_list(call)?;
    let (task_id, name) = (call.param("taskId"), call.param("name"));
    let entry = shared.read(|state| {
        let task = state
            .tasks
            .get(task_id)
            .ok_or_else(|| RequestError::not_found("Task not found"))?;
        let run_id = given_run(call).map_or_else(|| latest_run(task.runs.len()), Ok)?;
        let artifact = task
            .artifacts
            .get(&(run_id, name.to_owned()))
            .filter(|artifact| artifact.is_visible());
        artifact
            .map(Artifact::entry)
            .ok_or_else(|| RequestError::not_found("Artifact not found"))
    })?;
    Reply::json(&entry)
}

fn list_artifacts(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_list(call)?;
    let (entries, next) = shared.read(|state| {
        let task = state.tasks.get(call.param("taskId"));
        let task = task.ok_or_else(|| RequestError::not_found("Task not found"))?;
        let run_id = given_run(call).map_or_else(|| latest_run(task.runs.len()), Ok)?;
        task.run(run_id)
            .ok_or_else(|| RequestError::not_found("Run not found"))?;
        let of_run = task
            .artifacts
            .range((run_id, String::new())..(run_id + 1, String::new()));
        let visible = of_run
            .map(|(_, artifact)| artifact)
            .filter(|artifact| artifact.is_visible());
        Ok::<_, RequestError>(paginate(visible.map(Artifact::entry), call.page()))
    })?;
    let mut body = json!({ "artifacts": entries });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}
