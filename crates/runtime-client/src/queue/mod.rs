//! The queue over HTTP.

mod claim_work;
mod tasks;

use async_trait::async_trait;
use http::Method;
use runtime_core::queue::{
    ArtifactContent, ArtifactEntry, ArtifactRequest, ArtifactResponse, ClaimWorkRequest, Queue,
    Reclaim, TaskClaim, TaskDefinition, TaskStatus,
};
use runtime_core::{ApiError, ExceptionReason, Run, TaskId};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::transport::call::{Call, path};

/// The number of pages of a listing, with up to 1000 artifacts each. A listing that never ends is an error.
const MAX_ARTIFACT_PAGES: usize = 1000;

#[async_trait]
impl Queue for Client {
    /// A request that may have been received is not repeated: the claims of the first response would be lost. The
    /// exceptions are a 429 and a 503 with `Retry-After`, which the queue sends instead of claiming.
    ///
    /// # Cancel safety
    ///
    /// Safe, which is more than the port requires: the request continues without its caller, and the next call for the
    /// same queue and worker receives its claims. The request is cancelled with the last clone of the client.
    async fn claim_work(
        &self,
        task_queue_id: &str,
        request: &ClaimWorkRequest,
    ) -> Result<Vec<TaskClaim>, ApiError> {
        self.claim_pending_or_new(task_queue_id, request).await
    }

    async fn reclaim_task(&self, run: &Run) -> Result<Reclaim, ApiError> {
        self.call(post("queue.reclaimTask", run, "reclaim")).await
    }

    async fn report_completed(&self, run: &Run) -> Result<TaskStatus, ApiError> {
        self.call_for_status(post("queue.reportCompleted", run, "completed"))
            .await
    }

    async fn report_failed(&self, run: &Run) -> Result<TaskStatus, ApiError> {
        self.call_for_status(post("queue.reportFailed", run, "failed"))
            .await
    }

    async fn report_exception(
        &self,
        run: &Run,
        reason: ExceptionReason,
    ) -> Result<TaskStatus, ApiError> {
        let path = run_path(run, &["exception"]);
        let body = json!({ "reason": reason });
        self.call_for_status(Call::with_json(
            "queue.reportException",
            Method::POST,
            path,
            &body,
        )?)
        .await
    }

    async fn status(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError> {
        let path = path("queue", ["task", task_id.as_str(), "status"]);
        self.call_for_status(Call::get("queue.status", path)).await
    }

    async fn task(&self, task_id: &TaskId) -> Result<TaskDefinition, ApiError> {
        self.call(Call::get(
            "queue.task",
            path("queue", ["task", task_id.as_str()]),
        ))
        .await
    }

    /// An `object` is not declared again after a request that may have been received.
    async fn create_artifact(
        &self,
        run: &Run,
        name: &str,
        request: &ArtifactRequest,
    ) -> Result<ArtifactResponse, ApiError> {
        let path = run_path(run, &["artifacts", name]);
        let mut call = Call::with_json("queue.createArtifact", Method::POST, path, request)?;
        if let ArtifactRequest::Object { .. } = request {
            // The queue returns the upload of an object only once.
            call = call.not_idempotent();
        }
        self.call(call).await
    }

    async fn finish_artifact(
        &self,
        run: &Run,
        name: &str,
        upload_id: &str,
    ) -> Result<(), ApiError> {
        let path = run_path(run, &["artifacts", name]);
        let body = json!({ "uploadId": upload_id });
        self.call_no_content(Call::with_json(
            "queue.finishArtifact",
            Method::PUT,
            path,
            &body,
        )?)
        .await
    }

    async fn list_artifacts(&self, run: &Run) -> Result<Vec<ArtifactEntry>, ApiError> {
        let mut artifacts = Vec::new();
        let mut token: Option<String> = None;
        // A bound, in case the service returns the same token forever.
        for _ in 0..MAX_ARTIFACT_PAGES {
            let call = list_artifacts_call(run);
            let call = call.query(&[("continuationToken", token.as_deref())]);
            let page: ArtifactPage = self.call(call).await?;
            artifacts.extend(page.artifacts);
            token = page.continuation_token;
            if token.is_none() {
                return Ok(artifacts);
            }
        }
        let problem = format!("the listing has more than {MAX_ARTIFACT_PAGES} pages");
        Err(list_artifacts_call(run).unexpected_response(problem))
    }

    async fn artifact(
        &self,
        task_id: &TaskId,
        run_id: Option<u32>,
        name: &str,
    ) -> Result<ArtifactContent, ApiError> {
        let call = match run_id {
            Some(run_id) => {
                let run = Run {
                    task_id: task_id.clone(),
                    run_id,
                };
                Call::get(
                    "queue.artifact",
                    run_path(&run, &["artifact-content", name]),
                )
            }
            None => {
                let segments = ["task", task_id.as_str(), "artifact-content", name];
                Call::get("queue.latestArtifact", path("queue", segments))
            }
        };
        self.call(call).await
    }
}

impl Client {
    /// Executes a call whose response is `{"status": …}`.
    async fn call_for_status(&self, call: Call) -> Result<TaskStatus, ApiError> {
        let response: StatusResponse = self.call(call).await?;
        Ok(response.status)
    }
}

#[derive(Deserialize)]
struct StatusResponse {
    status: TaskStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactPage {
    artifacts: Vec<ArtifactEntry>,
    continuation_token: Option<String>,
}

fn list_artifacts_call(run: &Run) -> Call {
    Call::get("queue.listArtifacts", run_path(run, &["artifacts"]))
}

fn post(api_method: &'static str, run: &Run, action: &str) -> Call {
    Call::new(api_method, Method::POST, run_path(run, &[action]))
}

fn run_path(run: &Run, rest: &[&str]) -> String {
    let run_id = run.run_id.to_string();
    let start = ["task", run.task_id.as_str(), "runs", &run_id];
    path("queue", start.into_iter().chain(rest.iter().copied()))
}
