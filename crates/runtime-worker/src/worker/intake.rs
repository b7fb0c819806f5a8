//! How new tasks come in.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::queue::{ClaimWorkRequest, TaskClaim};
use runtime_core::{ApiError, CredentialsWatch, LifeCycleTracker, StopStage, error_chain};
use tokio::time::Instant;

use super::timing::jittered;
use super::{Admission, AdmissionRefusal, Blueprint};

/// The queue hands out no more than this at a time.
const MOST: usize = 32;

/// Claims, when it may.
pub(super) struct Intake {
    pub(super) credentials: CredentialsWatch,
    pub(super) admissions: Vec<Arc<dyn Admission>>,
    /// Why the worker does not claim at present.
    pub(super) refusal: Mutex<Option<AdmissionRefusal>>,
}

/// A claim that is on its way.
pub(super) type Claiming<'a> = Pin<Box<dyn Future<Output = Vec<TaskClaim>> + Send + 'a>>;

impl Intake {
    /// Claims at most `free` tasks, once. It comes back without any after a pause when it may not claim,
    /// cannot, or there is nothing; at once when the worker stops before the claim is sent.
    ///
    /// A claim that was sent is waited for: one whose answer nobody reads would block its task until it
    /// expires. Only a worker that stops gives it up: when it stops at once after a moment in which the queue
    /// would have answered if it had a task, and else when the queue would have answered in any case.
    pub(super) fn start<'a>(
        &'a self,
        blueprint: &'a Blueprint,
        free: usize,
        stop: &'a LifeCycleTracker,
    ) -> Claiming<'a> {
        Box::pin(async move {
            let timing = &blueprint.timing;
            let admitted = tokio::select! {
                biased;
                () = stop.wait_for_stage(StopStage::Graceful) => return Vec::new(),
                admitted = self.admit(blueprint) => admitted,
            };
            if !admitted {
                pause(timing.claim_pause, stop).await;
                return Vec::new();
            }
            let answer_by = Instant::now() + timing.immediate_claim_timeout;
            let answer = tokio::select! {
                biased;
                answer = self.ask(blueprint, free) => answer,
                () = overdue(answer_by, timing.graceful_claim_timeout, stop) => return Vec::new(),
            };
            match answer {
                Ok(claims) => {
                    if claims.is_empty() {
                        pause(timing.empty_claim_delay, stop).await;
                    }
                    claims
                }
                Err(error) => {
                    let monitor = &blueprint.environment.monitor;
                    monitor.warn(format_args!("cannot claim: {}", error_chain(&error)));
                    monitor.count("claims-failed", 1);
                    pause(timing.claim_pause, stop).await;
                    Vec::new()
                }
            }
        })
    }

    /// Asks the queue. Dropping this closes the connection, since nobody else has the services: a client
    /// that lives on may keep a request whose caller is gone.
    async fn ask(&self, blueprint: &Blueprint, free: usize) -> Result<Vec<TaskClaim>, ApiError> {
        let queue = blueprint.deployment.connect(self.credentials.clone()).queue;
        let identity = &blueprint.environment.identity;
        let request = ClaimWorkRequest {
            worker_group: identity.worker_group.clone(),
            worker_id: identity.worker_id.clone(),
            tasks: free.min(MOST) as u32,
        };
        queue.claim_work(&identity.task_queue_id, &request).await
    }

    /// Asks each admission; the first that refuses decides.
    async fn admit(&self, blueprint: &Blueprint) -> bool {
        for admission in &self.admissions {
            if let Err(refusal) = admission.admit().await {
                self.note(blueprint, refusal);
                return false;
            }
        }
        *self.refusal.lock() = None;
        true
    }

    /// Tells a reason once, however often it comes in a row.
    fn note(&self, blueprint: &Blueprint, refusal: AdmissionRefusal) {
        let mut last = self.refusal.lock();
        if last.as_ref() != Some(&refusal) {
            blueprint
                .environment
                .monitor
                .warn(format_args!("not claiming: {refusal}"));
            *last = Some(refusal);
        }
    }
}

/// Waits until the worker stops and an answer should have been there: soon when it stops at once, after the time for
/// which the queue holds a claim when it stops gracefully.
async fn overdue(answer_by: Instant, hold: Duration, stop: &LifeCycleTracker) {
    let at_once = async {
        stop.wait_for_stage(StopStage::Now).await;
        tokio::time::sleep_until(answer_by).await;
    };
    let gracefully = async {
        stop.wait_for_stage(StopStage::Graceful).await;
        tokio::time::sleep(hold).await;
    };
    tokio::select! {
        () = at_once => {}
        () = gracefully => {}
    }
}

async fn pause(pause: Duration, stop: &LifeCycleTracker) {
    tokio::select! {
        () = tokio::time::sleep(jittered(pause)) => {}
        () = stop.wait_for_stage(StopStage::Graceful) => {}
    }
}
