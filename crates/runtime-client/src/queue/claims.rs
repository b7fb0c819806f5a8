//! Claims whose caller went away before the answer came.

use std::collections::HashMap;
use std::fmt;

use http::Method;
use parking_lot::Mutex;
use runtime_core::ApiError;
use runtime_core::queue::{ClaimWorkRequest, TaskClaim};
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

use crate::Client;
use crate::transport::{Call, path};

type Answer = Result<Vec<TaskClaim>, ApiError>;

/// Keeps `claimWork` requests that nobody waits for, and claims that nobody has taken, for the next call.
///
/// Dropping it ends what is still on its way.
#[derive(Default)]
pub(crate) struct Claims {
    waiting: Mutex<HashMap<Claimant, Vec<Pending>>>,
}

/// Who claims, and from which queue.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Claimant {
    task_queue_id: String,
    worker_group: String,
    worker_id: String,
}

enum Pending {
    /// The request is on its way.
    Asked(AbortOnDropHandle<Answer>),
    /// More was claimed than the caller of that moment wanted.
    Claimed(Vec<TaskClaim>),
}

impl Claims {
    /// Takes over what an earlier caller left, or asks the queue.
    pub(crate) async fn claim(
        client: &Client,
        task_queue_id: &str,
        request: &ClaimWorkRequest,
    ) -> Answer {
        let claimant = Claimant {
            task_queue_id: task_queue_id.to_owned(),
            worker_group: request.worker_group.clone(),
            worker_id: request.worker_id.clone(),
        };
        let claims = &client.claims;
        let pending = match claims.take(&claimant) {
            Some(pending) => pending,
            None => Pending::Asked(ask(client, task_queue_id, request)?),
        };
        let answer = Flight {
            claims,
            claimant: &claimant,
            pending: Some(pending),
        }
        .land()
        .await?;
        let now = client.transport.settings.clock.now();
        let live = answer
            .into_iter()
            .filter(|claim| claim.taken_until > now)
            .collect();
        Ok(claims.split(claimant, live, request.tasks as usize))
    }

    fn take(&self, claimant: &Claimant) -> Option<Pending> {
        self.waiting.lock().get_mut(claimant)?.pop()
    }

    fn put(&self, claimant: Claimant, pending: Pending) {
        self.waiting
            .lock()
            .entry(claimant)
            .or_default()
            .push(pending);
    }

    /// Gives `wanted` claims and keeps the rest.
    fn split(
        &self,
        claimant: Claimant,
        mut claims: Vec<TaskClaim>,
        wanted: usize,
    ) -> Vec<TaskClaim> {
        let rest = claims.split_off(wanted.min(claims.len()));
        if !rest.is_empty() {
            self.put(claimant, Pending::Claimed(rest));
        }
        claims
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

/// A claim that somebody waits for; dropped before it lands, it goes back to those that nobody waits for.
struct Flight<'a> {
    claims: &'a Claims,
    claimant: &'a Claimant,
    pending: Option<Pending>,
}

impl Flight<'_> {
    async fn land(mut self) -> Answer {
        let answer = match self.pending.as_mut() {
            Some(Pending::Asked(handle)) => handle.await.unwrap_or_else(|error| Err(ended(error))),
            Some(Pending::Claimed(claims)) => Ok(std::mem::take(claims)),
            None => Ok(Vec::new()),
        };
        self.pending = None;
        answer
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.claims.put(self.claimant.clone(), pending);
        }
    }
}

/// Starts a request that does not depend on its caller.
///
/// The task gets a client with claims of its own: with ours, it would keep alive what ends it.
fn ask(
    client: &Client,
    task_queue_id: &str,
    request: &ClaimWorkRequest,
) -> Result<AbortOnDropHandle<Answer>, ApiError> {
    let path = path("queue", ["claim-work", task_queue_id]);
    let call = Call::with_json("queue.claimWork", Method::POST, path, request)?.once();
    let client = Client {
        claims: Default::default(),
        ..client.clone()
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let answer: ClaimAnswer = client.call(call).await?;
        Ok(answer.tasks)
    })))
}

#[derive(Deserialize)]
struct ClaimAnswer {
    tasks: Vec<TaskClaim>,
}

/// The runtime shut down, or our own code panicked.
fn ended(error: tokio::task::JoinError) -> ApiError {
    ApiError::Unreachable {
        method: "queue.claimWork",
        attempts: 1,
        source: error.into(),
    }
}
