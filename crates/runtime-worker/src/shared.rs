//! The state that all runs of a worker share.

use std::sync::Arc;

use runtime_core::log::OutputLimit;
use runtime_core::queue::Queue;
use runtime_core::{
    Deployment, Environment, LifeCycleTracker, MalformedPayloadError, StopStage, error_chain,
};
use serde_json::Value;

use crate::blocking_gate::BlockingGate;
use crate::engine::Engine;
use crate::error_limit::ConsecutiveErrorLimit;
use crate::foreign_call::foreign_call;
use crate::observer::{Observer, TaskEvent, notify};
use crate::payload::PayloadSchema;
use crate::plugin::Plugin;
use crate::timing::Timing;

/// Everything that a run needs from its worker.
///
/// It sits below the claim loop and the runs, so that neither depends on the other's types.
pub(crate) struct WorkerShared {
    pub(crate) deployment: Arc<dyn Deployment>,
    /// The queue with the credentials of the worker, which outlive every claim.
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) environment: Environment,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) schema: PayloadSchema,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) timing: Timing,
    pub(crate) error_limit: ConsecutiveErrorLimit,
    pub(crate) output_limit: OutputLimit,
    /// The threads on which ended tasks are removed.
    pub(crate) threads: BlockingGate,
}

impl WorkerShared {
    /// Checks a payload against the schema and with engine and plugins, and returns all problems at once.
    pub(crate) fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let from_schema = self.schema.check(payload).err();
        let from_plugins = self
            .plugins
            .iter()
            .filter_map(|plugin| plugin.check_payload(payload).err());
        let from_engine = self.engine.check_payload(payload).err();
        let problems = from_schema.into_iter().chain(from_engine);
        MalformedPayloadError::merge(problems.chain(from_plugins)).map_or(Ok(()), Err)
    }

    /// Prepares the engine before the first claim, unless a stop is requested meanwhile.
    pub(crate) async fn prepare_engine(&self, stop: &LifeCycleTracker) {
        let name = self.engine.name();
        let mut environment = self.environment.clone();
        environment.monitor = environment.monitor.with_prefix(name);
        let prepared = self.engine.prepare(&environment);
        let prepared = foreign_call(name, "prepare", self.timing.stage_timeout, prepared);
        tokio::select! {
            prepared = prepared => if let Err(error) = prepared {
                let error = error_chain(&error);
                environment.monitor.error(format_args!("cannot prepare the engine: {error}"));
            },
            () = stop.wait_for_stage(StopStage::Graceful) => {}
        }
    }

    pub(crate) fn notify(&self, event: &TaskEvent<'_>) {
        notify(&*self.observer, event, &self.environment.monitor);
    }
}
