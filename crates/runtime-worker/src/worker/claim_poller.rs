//! Claims tasks from the queue by long polling.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::queue::{ClaimWorkRequest, TaskClaim};
use runtime_core::{ApiError, CredentialsWatch, LifeCycleTracker, StopStage, error_chain};
use tokio::time::Instant;

use crate::admission::{Admission, AdmissionRefusal};
use crate::backoff::jittered;
use crate::shared::WorkerShared;
use crate::timing::Timing;

/// The queue's limit for one `claimWork` request.
const MAX_CLAIMS: usize = 32;

/// Claims tasks when the admissions allow it.
pub(super) struct ClaimPoller {
    pub(super) credentials: CredentialsWatch,
    pub(super) admissions: Vec<Arc<dyn Admission>>,
    /// The last logged refusal, until an admission succeeds.
    pub(super) refusal: Mutex<Option<AdmissionRefusal>>,
}

impl ClaimPoller {
    /// Claims up to `free` tasks with one request.
    ///
    /// Returns no tasks if an admission refuses, the request fails or the queue is empty, each after a delay, or at once
    /// if the worker stops.
    ///
    /// The request is not dropped when the worker stops. The queue may just have claimed a task for it, and without
    /// the answer that task would stay blocked until the claim expires. The request is given up when the queue must
    /// have answered if it had a task, see [`claim_overdue`].
    pub(super) async fn claim(
        &self,
        shared: &WorkerShared,
        free: usize,
        stop: &LifeCycleTracker,
    ) -> Vec<TaskClaim> {
        let timing = &shared.timing;
        let admitted = tokio::select! {
            // A stop that was already requested wins over an admission that is ready: no claim is sent.
            biased;
            () = stop.wait_for_stage(StopStage::Graceful) => return Vec::new(),
            admitted = self.admit(shared) => admitted,
        };
        if !admitted {
            sleep(timing.claim_retry_delay, stop).await;
            return Vec::new();
        }
        let sent = Instant::now();
        let response = tokio::select! {
            // A response that has arrived wins: its tasks are claimed, whether or not it is overdue.
            biased;
            response = self.claim_work(shared, free) => response,
            () = claim_overdue(sent, timing, stop) => return Vec::new(),
        };
        let (claims, delay) = match response {
            Ok(claims) => (claims, timing.empty_claim_delay),
            Err(error) => {
                let monitor = &shared.environment.monitor;
                monitor.warn(format_args!("cannot claim: {}", error_chain(&error)));
                monitor.count("claims-failed", 1);
                (Vec::new(), timing.claim_retry_delay)
            }
        };
        if claims.is_empty() {
            sleep(delay, stop).await;
        }
        claims
    }

    async fn claim_work(
        &self,
        shared: &WorkerShared,
        free: usize,
    ) -> Result<Vec<TaskClaim>, ApiError> {
        // A client for this request alone. Dropping it closes the connection, and the queue ends the long poll. A
        // shared client could keep the connection open, and the queue would claim a task although the response is
        // discarded. The client keeps a request alive when its caller is dropped, but not when the client itself is.
        let queue = shared.deployment.connect(self.credentials.clone()).queue;
        let identity = &shared.environment.identity;
        let request = ClaimWorkRequest {
            worker_group: identity.worker_group.clone(),
            worker_id: identity.worker_id.clone(),
            tasks: free.min(MAX_CLAIMS) as u32,
        };
        queue.claim_work(&identity.task_queue_id, &request).await
    }

    /// Asks the admissions in turn until one refuses.
    async fn admit(&self, shared: &WorkerShared) -> bool {
        for admission in &self.admissions {
            if let Err(refusal) = admission.admit().await {
                self.log_refusal(shared, refusal);
                return false;
            }
        }
        *self.refusal.lock() = None;
        true
    }

    /// Logs a refusal, unless it is the same as the last one.
    fn log_refusal(&self, shared: &WorkerShared, refusal: AdmissionRefusal) {
        let mut last = self.refusal.lock();
        if last.as_ref() != Some(&refusal) {
            let monitor = &shared.environment.monitor;
            monitor.warn(format_args!("not claiming: {refusal}"));
            *last = Some(refusal);
        }
    }
}

/// Waits until the worker stops and the answer to a claim is overdue.
async fn claim_overdue(sent: Instant, timing: &Timing, stop: &LifeCycleTracker) {
    // Counted from the request: a queue with pending tasks answers within a moment. A request that has been open for
    // longer waits for a task in an empty queue, so it is dropped without delay.
    let immediate = async {
        stop.wait_for_stage(StopStage::Now).await;
        tokio::time::sleep_until(sent + timing.immediate_claim_timeout).await;
    };
    // Counted from the stop: there is time to wait until the long poll ends by itself.
    let graceful = async {
        stop.wait_for_stage(StopStage::Graceful).await;
        tokio::time::sleep(timing.graceful_claim_timeout).await;
    };
    tokio::select! {
        () = immediate => {}
        () = graceful => {}
    }
}

/// Sleeps for about `delay`, but not beyond the start of a shutdown.
async fn sleep(delay: Duration, stop: &LifeCycleTracker) {
    tokio::select! {
        () = tokio::time::sleep(jittered(delay)) => {}
        () = stop.wait_for_stage(StopStage::Graceful) => {}
    }
}
