//! The loop that claims tasks and runs them.

use std::fmt;
use std::sync::Arc;

use runtime_core::{LifeCycleTracker, StopStage, Stoppable as _, render_document};

use super::claim_poller::ClaimPoller;
use super::running_tasks::RunningTasks;
use crate::payload::PayloadSchema;
use crate::shared::WorkerShared;

/// Claims tasks from one queue and runs up to `capacity` of them concurrently.
pub struct Worker {
    pub(super) shared: Arc<WorkerShared>,
    pub(super) poller: ClaimPoller,
    pub(super) capacity: usize,
}

impl Worker {
    /// Returns the schema of payloads that this worker accepts.
    #[must_use]
    pub fn payload_schema(&self) -> &PayloadSchema {
        &self.shared.schema
    }

    /// Renders the documentation for authors of tasks as Markdown: the sections of engine and plugins, and the payload
    /// schema.
    #[must_use]
    pub fn documentation(&self, title: &str) -> String {
        let engine = self.shared.engine.documentation();
        let plugins = self.shared.plugins.iter();
        let mut sections: Vec<_> = engine
            .into_iter()
            .chain(plugins.flat_map(|plugin| plugin.documentation()))
            .collect();
        sections.push(self.shared.schema.documentation());
        render_document(title, &sections)
    }

    /// Claims and runs tasks until a stop is requested.
    ///
    /// | stop | running tasks | returns |
    /// | --- | --- | --- |
    /// | graceful | run to their end | when all are resolved |
    /// | immediate | are killed and resolved `worker-shutdown`; then the plugins upload | when the uploads end or the time is used up |
    ///
    /// A graceful stop with a [deadline](LifeCycleTracker::time_left) becomes an immediate one
    /// [`shutdown_reserve`](crate::Timing::shutdown_reserve) before it.
    ///
    /// A claim in flight is awaited for [`graceful_claim_timeout`](crate::Timing::graceful_claim_timeout) or
    /// [`immediate_claim_timeout`](crate::Timing::immediate_claim_timeout). Tasks that it returns are resolved
    /// `worker-shutdown`, so that the queue runs them elsewhere. A task without retries left is run to its end
    /// after a graceful stop.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: running tasks are dropped and stay claimed until their claims expire.
    pub async fn run_until(&self, stop: &LifeCycleTracker) {
        let reserve = self.shared.timing.shutdown_reserve;
        let mut running = RunningTasks::default();
        let mut claim_in_flight = None;
        self.log_start();
        loop {
            let is_running = stop.stage() == StopStage::Running;
            let free = self.capacity.saturating_sub(running.len());
            // One claim at a time: a second one could return more tasks than there is capacity for.
            if claim_in_flight.is_none() && free > 0 && is_running {
                claim_in_flight = Some(Box::pin(self.poller.claim(&self.shared, free, stop)));
            }
            if claim_in_flight.is_none() && !is_running {
                // Only now: a run that is given back earlier could be returned by the claim in flight.
                running.no_more_claims();
                if running.is_empty() {
                    return;
                }
            }
            tokio::select! {
                claims = poll_claim(&mut claim_in_flight) => {
                    claim_in_flight = None;
                    // Also after a stop: `run_task` gives these runs back, except those without retries.
                    for claim in claims {
                        running.start(&self.shared, claim, stop);
                    }
                }
                () = running.reap(&self.shared), if !running.is_empty() => {}
                // The reserve is for killing tasks, reporting and uploading.
                () = stop.wait_until_remaining(reserve), if stop.stage() == StopStage::Graceful => stop.stop_now(),
                // Wakes the loop to check the conditions above.
                () = stop.wait_for_stage(StopStage::Graceful), if is_running => {}
            }
        }
    }

    /// Logs the claimed queue and the worker's identity. A wrong queue name is a common reason for a lack of tasks.
    fn log_start(&self) {
        let environment = &self.shared.environment;
        let identity = &environment.identity;
        environment.monitor.info(format_args!(
            "claiming from `{}` at {} as `{}/{}`, up to {} tasks at a time",
            identity.task_queue_id,
            identity.root_url,
            identity.worker_group,
            identity.worker_id,
            self.capacity,
        ));
    }
}

/// Waits for the claim in flight, or forever without one. Keeps the claim when it is dropped: the loop polls it again
/// in its next iteration.
async fn poll_claim<F: Future + Unpin>(claim: &mut Option<F>) -> F::Output {
    match claim {
        Some(claim) => claim.await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("identity", &self.shared.environment.identity)
            .finish_non_exhaustive()
    }
}
