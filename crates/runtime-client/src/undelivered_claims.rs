//! Claims whose caller was dropped before it received them.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;
use runtime_core::ApiError;
use runtime_core::queue::TaskClaim;
use tokio_util::task::AbortOnDropHandle;

pub(crate) type ClaimResult = Result<Vec<TaskClaim>, ApiError>;

/// `claimWork` requests and claims that no caller waits for, kept for the next call.
///
/// If the response of a request were lost, the queue would consider its tasks claimed until the claims expire after
/// 20 minutes. So a request is not cancelled with its caller. Dropping this value cancels the requests that are still in flight.
#[derive(Default)]
pub(crate) struct UndeliveredClaims {
    pending: Mutex<HashMap<ClaimKey, Vec<UndeliveredClaim>>>,
}

/// The worker and the queue that claims belong to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClaimKey {
    pub(crate) task_queue_id: String,
    pub(crate) worker_group: String,
    pub(crate) worker_id: String,
}

pub(crate) enum UndeliveredClaim {
    /// A request in flight.
    Request(AbortOnDropHandle<ClaimResult>),
    /// Claims in excess of the number that a caller asked for.
    Claims(Vec<TaskClaim>),
}

impl UndeliveredClaims {
    /// Removes and returns a pending claim.
    pub(crate) fn take(&self, key: &ClaimKey) -> Option<UndeliveredClaim> {
        self.pending.lock().get_mut(key)?.pop()
    }

    fn put(&self, key: ClaimKey, claim: UndeliveredClaim) {
        self.pending.lock().entry(key).or_default().push(claim);
    }

    /// Waits for a claim. If the future is dropped before, the claim stays pending.
    pub(crate) async fn wait(&self, key: &ClaimKey, claim: UndeliveredClaim) -> ClaimResult {
        let guard = ClaimGuard {
            claims: self,
            key,
            claim: Some(claim),
        };
        guard.wait().await
    }

    /// Returns at most `limit` of `claims` and keeps the excess.
    ///
    /// There is an excess when a request for several tasks is taken over by a call for fewer.
    pub(crate) fn keep_excess(
        &self,
        key: ClaimKey,
        mut claims: Vec<TaskClaim>,
        limit: usize,
    ) -> Vec<TaskClaim> {
        let excess = claims.split_off(limit.min(claims.len()));
        if !excess.is_empty() {
            self.put(key, UndeliveredClaim::Claims(excess));
        }
        claims
    }
}

impl fmt::Debug for UndeliveredClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndeliveredClaims").finish_non_exhaustive()
    }
}

/// A claim that a caller waits for. Dropped before it is received, it becomes pending again.
struct ClaimGuard<'a> {
    claims: &'a UndeliveredClaims,
    key: &'a ClaimKey,
    claim: Option<UndeliveredClaim>,
}

impl ClaimGuard<'_> {
    async fn wait(mut self) -> ClaimResult {
        // The claim stays in the guard while this waits, so that dropping the future returns it to the pending claims.
        let result = match self.claim.as_mut() {
            Some(UndeliveredClaim::Request(handle)) => handle
                .await
                .unwrap_or_else(|error| Err(request_ended(error))),
            Some(UndeliveredClaim::Claims(claims)) => Ok(std::mem::take(claims)),
            None => Ok(Vec::new()),
        };
        // Only after the await: until then, a drop puts the request back.
        self.claim = None;
        result
    }
}

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.claims.put(self.key.clone(), claim);
        }
    }
}

/// The task of a request ended without a result: the runtime shut down, or the task panicked.
fn request_ended(error: tokio::task::JoinError) -> ApiError {
    ApiError::Unreachable {
        method: "queue.claimWork",
        attempts: 1,
        source: error.into(),
    }
}
