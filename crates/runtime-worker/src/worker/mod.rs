//! The loop that claims tasks and runs them.

mod admission;
mod builder;

pub use admission::{Admission, AlwaysAdmit, CollectorAdmission, Refusal};
pub use builder::{BuildError, WorkerBuilder};

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::queue::{ClaimWorkRequest, Queue, TaskClaim};
use runtime_core::{
    ApiError, Deployment, Environment, LifeCycleTracker, MalformedPayloadError, Run, StopStage,
};
use serde_json::Value;
use tokio::task::{Id, JoinError, JoinSet};

use crate::payload::PayloadSchema;
use crate::run::run_task;
use crate::{Engine, Observer, Plugin, TaskReport};

/// How long to wait before asking again when the queue cannot be reached or the worker may not claim.
const PAUSE: Duration = Duration::from_secs(5);

/// What every task of this worker is run with.
pub(crate) struct Blueprint {
    pub(crate) deployment: Arc<dyn Deployment>,
    pub(crate) environment: Environment,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) schema: PayloadSchema,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) cancel_poll: Duration,
}

impl Blueprint {
    /// Checks a payload against the schema and by the plugins, and gives everything that is wrong.
    pub(crate) fn check(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let by_schema = self.schema.check(payload).err();
        let by_plugins = self
            .plugins
            .iter()
            .filter_map(|plugin| plugin.check_payload(payload).err());
        MalformedPayloadError::merge(by_schema.into_iter().chain(by_plugins)).map_or(Ok(()), Err)
    }
}

/// Claims tasks from one queue and runs them, several at a time.
pub struct Worker {
    blueprint: Arc<Blueprint>,
    queue: Arc<dyn Queue>,
    admission: Arc<dyn Admission>,
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

    /// Claims and runs tasks until `stop` is asked to stop.
    ///
    /// After a graceful stop it claims nothing more and returns when what runs is done. After an
    /// immediate one, what runs resolves `worker-shutdown`. A claim that is in flight is waited for
    /// in any case, up to the 20 seconds that the queue takes, since a claim whose answer nobody
    /// reads would block its task until it expires.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: tasks that run are dropped and stay claimed until their claims expire.
    pub async fn run_until(&self, stop: &LifeCycleTracker) {
        let mut running = Running::default();
        while stop.stage() == StopStage::Running {
            if running.set.len() < self.capacity {
                self.claim_some(&mut running, stop).await;
            } else {
                tokio::select! {
                    () = running.reap(&self.blueprint) => {}
                    () = stop.reached(StopStage::Graceful) => {}
                }
            }
        }
        while !running.set.is_empty() {
            running.reap(&self.blueprint).await;
        }
    }

    /// Claims into the free slots and starts what comes. Tasks that end meanwhile are noticed later.
    async fn claim_some(&self, running: &mut Running, stop: &LifeCycleTracker) {
        if let Err(refusal) = self.admission.admit().await {
            running.refused(&self.blueprint, refusal);
            return pause(stop).await;
        }
        running.refusal = None;
        let free = self.capacity - running.set.len();
        match self.claim(free).await {
            Ok(claims) => claims
                .into_iter()
                .for_each(|claim| running.start(&self.blueprint, claim, stop)),
            Err(error) => {
                self.blueprint.environment.monitor.warn(format_args!(
                    "cannot claim: {}",
                    runtime_core::chain(&error)
                ));
                pause(stop).await;
            }
        }
        running.reap_ready(&self.blueprint);
    }

    async fn claim(&self, free: usize) -> Result<Vec<TaskClaim>, ApiError> {
        let identity = &self.blueprint.environment.identity;
        let request = ClaimWorkRequest {
            worker_group: identity.worker_group.clone(),
            worker_id: identity.worker_id.clone(),
            // The queue hands out no more than 32 at a time.
            tasks: free.min(32) as u32,
        };
        self.queue
            .claim_work(&identity.task_queue_id, &request)
            .await
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("identity", &self.blueprint.environment.identity)
            .finish_non_exhaustive()
    }
}

async fn pause(stop: &LifeCycleTracker) {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => {}
        () = stop.reached(StopStage::Graceful) => {}
    }
}

/// The tasks that run now.
#[derive(Default)]
struct Running {
    set: JoinSet<TaskReport>,
    runs: HashMap<Id, Run>,
    /// Why the worker does not claim at present.
    refusal: Option<Refusal>,
}

impl Running {
    fn start(&mut self, blueprint: &Arc<Blueprint>, claim: TaskClaim, stop: &LifeCycleTracker) {
        let run = Run {
            task_id: claim.status.task_id.clone(),
            run_id: claim.run_id,
        };
        let (blueprint, stop) = (Arc::clone(blueprint), stop.clone());
        let handle = self
            .set
            .spawn(async move { run_task(&blueprint, claim, stop.reached(StopStage::Now)).await });
        self.runs.insert(handle.id(), run);
    }

    /// Tells a reason once, however often it comes in a row.
    fn refused(&mut self, blueprint: &Blueprint, refusal: Refusal) {
        if self.refusal.as_ref() != Some(&refusal) {
            blueprint
                .environment
                .monitor
                .warn(format_args!("not claiming: {refusal}"));
            self.refusal = Some(refusal);
        }
    }

    /// Waits for the next task to end; at once if none runs.
    async fn reap(&mut self, blueprint: &Blueprint) {
        if let Some(ended) = self.set.join_next_with_id().await {
            self.forget(blueprint, ended);
        }
    }

    fn reap_ready(&mut self, blueprint: &Blueprint) {
        while let Some(ended) = self.set.try_join_next_with_id() {
            self.forget(blueprint, ended);
        }
    }

    /// Engines and plugins are guarded where they are called, so a panic here is the worker's own.
    fn forget(&mut self, blueprint: &Blueprint, ended: Result<(Id, TaskReport), JoinError>) {
        match ended {
            Ok((id, _)) => drop(self.runs.remove(&id)),
            Err(error) => {
                let run = self
                    .runs
                    .remove(&error.id())
                    .map_or_else(String::new, |run| run.to_string());
                blueprint
                    .environment
                    .monitor
                    .report_error(&error, format_args!("task {run} was dropped"));
            }
        }
    }
}
