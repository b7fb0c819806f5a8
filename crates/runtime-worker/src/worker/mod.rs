//! The loop that claims tasks and runs them.

mod admission;
mod blueprint;
mod builder;
mod gc_metrics;
mod health;
mod intake;
mod running;
mod timing;

pub use admission::{Admission, AdmissionRefusal, AlwaysAdmit, CollectorAdmission};
pub(crate) use blueprint::Blueprint;
pub use builder::{BuildError, WorkerBuilder};
#[cfg(feature = "config")]
pub(crate) use builder::{INTERNAL_ERRORS, OUTPUT, OUTPUT_END};
pub use gc_metrics::record_gc_metrics;
pub use timing::Timing;
pub(crate) use timing::{Pauses, jittered};

use std::fmt;
use std::sync::Arc;

use runtime_core::{
    Deployment, Environment, LifeCycleTracker, StopStage, Stoppable as _, render_document,
};

use crate::Engine;
use crate::payload::PayloadSchema;
use intake::Intake;
use running::Running;

/// Claims tasks from one queue and runs them, several at a time.
pub struct Worker {
    blueprint: Arc<Blueprint>,
    intake: Intake,
    capacity: usize,
}

impl Worker {
    /// Starts to put a worker together.
    pub fn builder(
        deployment: Arc<dyn Deployment>,
        environment: Environment,
        engine: Arc<dyn Engine>,
    ) -> WorkerBuilder {
        WorkerBuilder::new(deployment, environment, engine)
    }

    /// The schema of payloads that this worker accepts.
    #[must_use]
    pub fn payload_schema(&self) -> &PayloadSchema {
        &self.blueprint.schema
    }

    /// What authors of tasks must know, as Markdown: the sections of engine and plugins, and the
    /// schema of the payload.
    #[must_use]
    pub fn documentation(&self, title: &str) -> String {
        let engine = self.blueprint.engine.documentation();
        let plugins = self.blueprint.plugins.iter();
        let mut sections: Vec<_> = engine
            .into_iter()
            .chain(plugins.flat_map(|plugin| plugin.documentation()))
            .collect();
        sections.push(self.blueprint.schema.documentation());
        render_document(title, &sections)
    }

    /// Claims and runs tasks until `stop` is asked to stop.
    ///
    /// After a graceful stop it claims nothing more and returns when what runs is done. After an
    /// immediate one, what runs resolves `worker-shutdown`. With a [deadline](LifeCycleTracker::time_left),
    /// a graceful stop becomes an immediate one when little time is left, and an immediate one reports
    /// first and uploads in what time remains.
    ///
    /// After a graceful stop a claim that is in flight is waited for, for [longer](Timing::graceful_claim_timeout) than the 20
    /// seconds that the queue takes, since a claim whose answer nobody reads would block its task until it expires. After an
    /// immediate one it has [a moment](Timing::immediate_claim_timeout), and is then given up: by then the queue has
    /// found nothing, and it stops looking when the connection closes. Nothing is given back before that,
    /// or the claim might bring it again. What a claim brings after a stop is given back: it resolves
    /// `worker-shutdown` and the queue runs it elsewhere. Only a task that has no retry left is run to its
    /// end after a graceful stop.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: tasks that run are dropped and stay claimed until their claims expire.
    pub async fn run_until(&self, stop: &LifeCycleTracker) {
        let reserve = self.blueprint.timing.shutdown_reserve;
        let mut running = Running::default();
        let mut claiming = None;
        self.announce();
        loop {
            let goes_on = stop.stage() == StopStage::Running;
            let free = self.capacity.saturating_sub(running.len());
            if claiming.is_none() && free > 0 && goes_on {
                claiming = Some(self.intake.start(&self.blueprint, free, stop));
            }
            if claiming.is_none() && !goes_on {
                running.no_more_claims();
                if running.is_empty() {
                    return;
                }
            }
            tokio::select! {
                claims = in_flight(&mut claiming) => {
                    claiming = None;
                    for claim in claims {
                        running.start(&self.blueprint, claim, stop);
                    }
                }
                () = running.reap(&self.blueprint), if !running.is_empty() => {}
                () = stop.wait_until_remaining(reserve), if stop.stage() == StopStage::Graceful => stop.stop_now(),
                // Wakes the loop, for the conditions above.
                () = stop.wait_for_stage(StopStage::Graceful), if goes_on => {}
            }
        }
    }

    /// Says what the worker does, also to whoever wonders why no task comes.
    fn announce(&self) {
        let environment = &self.blueprint.environment;
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

/// Waits for a claim; for ever if none is on its way.
async fn in_flight<F: Future + Unpin>(claiming: &mut Option<F>) -> F::Output {
    match claiming {
        Some(claiming) => claiming.await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("identity", &self.blueprint.environment.identity)
            .finish_non_exhaustive()
    }
}
