//! How new tasks come in.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::queue::{ClaimWorkRequest, TaskClaim};
use runtime_core::{ApiError, LifeCycleTracker, StopStage, chain};

use super::timing::jittered;
use super::{Admission, Blueprint, Refusal};

/// The queue hands out no more than this at a time.
const MOST: usize = 32;

/// Claims, when it may.
pub(super) struct Intake {
    pub(super) admissions: Vec<Arc<dyn Admission>>,
    /// Why the worker does not claim at present.
    pub(super) refusal: Mutex<Option<Refusal>>,
}

impl Intake {
    /// Claims at most `free` tasks, once. It comes back without any after a pause when it may not claim,
    /// cannot, or there is nothing; at once when the worker stops before the claim is sent.
    ///
    /// A claim that was sent is waited for: one whose answer nobody reads would block its task until
    /// it expires.
    pub(super) async fn claim(
        &self,
        blueprint: &Blueprint,
        free: usize,
        stop: &LifeCycleTracker,
    ) -> Vec<TaskClaim> {
        let timing = &blueprint.timing;
        let admitted = tokio::select! {
            biased;
            () = stop.reached(StopStage::Graceful) => return Vec::new(),
            admitted = self.admit(blueprint) => admitted,
        };
        if !admitted {
            pause(timing.claim_pause, stop).await;
            return Vec::new();
        }
        match self.ask(blueprint, free).await {
            Ok(claims) => {
                if claims.is_empty() {
                    pause(timing.empty_pause, stop).await;
                }
                claims
            }
            Err(error) => {
                let monitor = &blueprint.environment.monitor;
                monitor.warn(format_args!("cannot claim: {}", chain(&error)));
                monitor.count("claims-failed", 1);
                pause(timing.claim_pause, stop).await;
                Vec::new()
            }
        }
    }

    async fn ask(&self, blueprint: &Blueprint, free: usize) -> Result<Vec<TaskClaim>, ApiError> {
        let identity = &blueprint.environment.identity;
        let request = ClaimWorkRequest {
            worker_group: identity.worker_group.clone(),
            worker_id: identity.worker_id.clone(),
            tasks: free.min(MOST) as u32,
        };
        blueprint
            .queue
            .claim_work(&identity.task_queue_id, &request)
            .await
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
    fn note(&self, blueprint: &Blueprint, refusal: Refusal) {
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

async fn pause(pause: Duration, stop: &LifeCycleTracker) {
    tokio::select! {
        () = tokio::time::sleep(jittered(pause)) => {}
        () = stop.reached(StopStage::Graceful) => {}
    }
}
