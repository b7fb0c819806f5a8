//! What every task of a worker is run with.

use std::sync::Arc;

use runtime_core::log::OutputLimit;
use runtime_core::queue::Queue;
use runtime_core::{Deployment, Environment, MalformedPayloadError};
use serde_json::Value;

use super::Timing;
use super::health::Health;
use crate::payload::PayloadSchema;
use crate::record::tell;
use crate::{Engine, Observer, Plugin, TaskEvent};

/// What every task of a worker is run with.
pub(crate) struct Blueprint {
    pub(crate) deployment: Arc<dyn Deployment>,
    /// With the credentials of the worker.
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) environment: Environment,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) schema: PayloadSchema,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) timing: Timing,
    pub(crate) health: Health,
    pub(crate) output_limit: OutputLimit,
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

    /// Tells the observer.
    pub(crate) fn tell(&self, event: &TaskEvent<'_>) {
        tell(&*self.observer, event, &self.environment.monitor);
    }
}
