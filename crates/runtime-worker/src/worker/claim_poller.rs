//! Claims tasks from the queue by long polling.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::queue::{ClaimWorkRequest, TaskClaim};
use runtime_core::{ApiError, CredentialsWatch, LifeCycleTracker, StopStage, error_chain};
use tokio::time::{Instant, timeout};

use super::claim_failures::ClaimFailures;
use crate::admission::{Admission, AdmissionRefusal};
use crate::delays::{jittered, spread};
use crate::foreign_call::catch_panic;
use crate::shared::WorkerShared;
use crate::timing::{EXIT_RESERVE, Timing};

/// The queue's limit for one `claimWork` request.
const MAX_CLAIMS: usize = 32;

/// Claims tasks when the admissions allow it.
pub(super) struct ClaimPoller {
    pub(super) credentials: CredentialsWatch,
    pub(super) admissions: Vec<Arc<dyn Admission>>,
    /// The last logged refusal, until an admission succeeds.
    pub(super) refusal: Mutex<Option<AdmissionRefusal>>,
    /// The time at which the last request was sent, while it is unanswered.
    pub(super) unanswered_since: Mutex<Option<Instant>>,
    pub(super) failures: ClaimFailures,
}

impl ClaimPoller {
    /// Claims up to `free` tasks with one request.
    ///
    /// Returns no tasks if an admission refuses, the request fails or the queue is empty, each after a delay, or at once
    /// if the worker stops.
    ///
    /// The request is not dropped when the worker stops. The queue may just have claimed a task for it, and without
    /// the answer that task would stay blocked until the claim expires. The request is given up when the queue can no
    /// longer answer it with a task, or when the stop runs out of time.
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
            sleep(jittered(timing.claim_retry_delay), stop).await;
            return Vec::new();
        }
        let sent = Instant::now();
        // Before the request: from here on the queue may claim a task, even if this future is
        // dropped.
        *self.unanswered_since.lock() = Some(sent);
        let response = tokio::select! {
            // A response that has arrived wins: its tasks are claimed, whether or not it is overdue.
            biased;
            response = self.claim_work(shared, free) => response,
            () = give_up(sent, timing, stop) => return Vec::new(),
        };
        if response.as_ref().map_or_else(is_answer, |_| true) {
            *self.unanswered_since.lock() = None;
        }
        let monitor = &shared.environment.monitor;
        let (claims, delay) = match response {
            Ok(claims) => {
                self.failures.success(monitor);
                (claims, jittered(timing.empty_claim_delay))
            }
            Err(error) => {
                self.failures.failure(&error, monitor);
                monitor.count("claims-failed", 1);
                (Vec::new(), spread(timing.claim_retry_delay))
            }
        };
        if claims.is_empty() {
            // Even after an empty answer: should the queue answer without its long poll, a loop
            // without a delay would flood it.
            sleep(delay, stop).await;
        }
        claims
    }

    /// Returns the time for which the queue may still claim tasks for an unanswered request.
    ///
    /// A request that has failed without an answer counts too: the queue may not have noticed that its connection is
    /// closed.
    pub(super) fn unanswered_for(&self, timing: &Timing) -> Option<Duration> {
        let sent = (*self.unanswered_since.lock())?;
        let remaining = timing.long_poll_timeout.checked_sub(sent.elapsed());
        remaining.filter(|remaining| !remaining.is_zero())
    }

    async fn claim_work(
        &self,
        shared: &WorkerShared,
        free: usize,
    ) -> Result<Vec<TaskClaim>, ApiError> {
        // A client for this request alone. Dropping it closes the connection, and the queue ends the long poll. A
        // shared client could keep the connection open, and the queue would claim a task although the response is
        // discarded. The client keeps a request alive when its caller is dropped, but not when the client itself is.
        // This only saves the queue work: a proxy may keep its own connection open, see `unanswered_for`.
        let queue = shared.deployment.connect(self.credentials.clone()).queue;
        let identity = &shared.environment.identity;
        let request = ClaimWorkRequest {
            worker_group: identity.worker_group.clone(),
            worker_id: identity.worker_id.clone(),
            // The queue answers a larger number with 400.
            tasks: free.min(MAX_CLAIMS) as u32,
        };
        queue.claim_work(&identity.task_queue_id, &request).await
    }

    /// Asks the admissions in turn until one refuses.
    async fn admit(&self, shared: &WorkerShared) -> bool {
        for admission in &self.admissions {
            // A panic or hang of one must not end the worker or stop it from claiming without a word.
            let checked = timeout(shared.timing.stage_timeout, catch_panic(admission.admit()));
            let refusal = match checked.await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(refusal))) => refusal,
                Ok(Err(panic)) => {
                    AdmissionRefusal::new(format!("an admission failed: {}", error_chain(&panic)))
                }
                Err(_) => AdmissionRefusal::new("an admission hangs"),
            };
            self.log_refusal(shared, refusal);
            return false;
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

/// Returns whether an error shows that the queue has claimed nothing and no longer tries to.
///
/// A proxy may have sent a 5xx, while the queue still works on the request.
fn is_answer(error: &ApiError) -> bool {
    error.status().is_some_and(|status| status < 500)
}

/// Waits until the worker stops and the queue can no longer answer a request, or until the time of the stop is used up.
async fn give_up(sent: Instant, timing: &Timing, stop: &LifeCycleTracker) {
    stop.wait_for_stage(StopStage::Graceful).await;
    let out_of_time = async {
        stop.wait_for_stage(StopStage::Now).await;
        stop.wait_until_remaining(EXIT_RESERVE).await;
    };
    tokio::select! {
        () = tokio::time::sleep(timing.long_poll_timeout.saturating_sub(sent.elapsed())) => {}
        () = out_of_time => {}
    }
}

/// Sleeps, but not beyond the start of a shutdown.
async fn sleep(delay: Duration, stop: &LifeCycleTracker) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = stop.wait_for_stage(StopStage::Graceful) => {}
    }
}
