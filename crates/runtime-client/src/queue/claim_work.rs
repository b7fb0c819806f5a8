//! `claimWork` requests that outlive their caller.

use http::Method;
use runtime_core::ApiError;
use runtime_core::queue::{ClaimWorkRequest, TaskClaim};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::task::AbortOnDropHandle;

use crate::client::Client;
use crate::transport::call::{Call, path};
use crate::undelivered_claims::{ClaimKey, ClaimResult, UndeliveredClaim};

impl Client {
    /// Takes over a claim that an earlier caller did not receive, or sends a request.
    pub(super) async fn claim_pending_or_new(
        &self,
        task_queue_id: &str,
        request: &ClaimWorkRequest,
    ) -> ClaimResult {
        let key = ClaimKey {
            task_queue_id: task_queue_id.to_owned(),
            worker_group: request.worker_group.clone(),
            worker_id: request.worker_id.clone(),
        };
        let pending = &self.undelivered_claims;
        let claim = match pending.take(&key) {
            Some(claim) => claim,
            None => UndeliveredClaim::Request(self.spawn_claim_request(task_queue_id, request)?),
        };
        // A kept claim may have expired. That is left to the queue, since the local clock may be wrong: it refuses
        // the first request for the run.
        let claims = pending.wait(&key, claim).await?;
        Ok(pending.keep_excess(key, claims, request.tasks as usize))
    }

    /// Starts a request that does not depend on its caller.
    fn spawn_claim_request(
        &self,
        task_queue_id: &str,
        request: &ClaimWorkRequest,
    ) -> Result<AbortOnDropHandle<ClaimResult>, ApiError> {
        let path = path("queue", ["claim-work", task_queue_id]);
        let call = Call::with_json("queue.claimWork", Method::POST, path, request)?;
        // The client for the request has its own pending claims. With those of `self`, the request would keep alive the
        // value whose drop cancels it.
        let client = Client {
            undelivered_claims: Default::default(),
            ..self.clone()
        };
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            // Sent once: the caller has to know from when on the queue can no longer answer it, so that it stops
            // without losing a claim. It repeats a failed call itself.
            let response: ClaimWorkResponse = client.call(call.single_attempt()).await?;
            Ok(response
                .tasks
                .iter()
                .filter_map(|claim| read_claim(claim))
                .collect())
        })))
    }
}

/// The claims are read one by one, so that an unreadable one does not affect the others.
#[derive(Deserialize)]
struct ClaimWorkResponse {
    tasks: Vec<Box<RawValue>>,
}

/// Reads a claim, and logs one that cannot be read: nothing can be reported for it.
fn read_claim(json: &RawValue) -> Option<TaskClaim> {
    serde_json::from_str(json.get())
        .inspect_err(|error| {
            // Not the error itself, which may quote credentials.
            tracing::error!(
                task_id = task_id(json).as_deref().unwrap_or("unknown"),
                line = error.line(),
                column = error.column(),
                "cannot read a claim; its task stays claimed until the claim expires"
            );
        })
        .ok()
}

fn task_id(claim: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Claim {
        status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        task_id: String,
    }
    let claim: Claim = serde_json::from_str(claim.get()).ok()?;
    Some(claim.status.task_id)
}
