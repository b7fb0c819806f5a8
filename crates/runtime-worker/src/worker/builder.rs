//! Puts a worker together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::{CredentialsWatch, Deployment, Environment};

use super::{Admission, AlwaysAdmit, Blueprint, Worker};
use crate::payload::{PayloadSchema, SchemaError};
use crate::{Engine, NoObserver, Observer, Plugin};

/// Puts a [`Worker`] together.
#[must_use]
pub struct WorkerBuilder {
    deployment: Arc<dyn Deployment>,
    credentials: CredentialsWatch,
    environment: Environment,
    engine: Arc<dyn Engine>,
    plugins: Vec<Arc<dyn Plugin>>,
    observer: Arc<dyn Observer>,
    admission: Arc<dyn Admission>,
    capacity: usize,
    cancel_poll: Duration,
}

impl WorkerBuilder {
    pub(super) fn new(
        deployment: Arc<dyn Deployment>,
        environment: Environment,
        engine: Arc<dyn Engine>,
    ) -> Self {
        Self {
            deployment,
            credentials: CredentialsWatch::fixed(None),
            environment,
            engine,
            plugins: Vec::new(),
            observer: Arc::new(NoObserver),
            admission: Arc::new(AlwaysAdmit),
            capacity: 1,
            cancel_poll: Duration::from_secs(60),
        }
    }

    /// The credentials with which the worker claims.
    pub fn credentials(mut self, credentials: CredentialsWatch) -> Self {
        self.credentials = credentials;
        self
    }

    /// Adds a plugin. The order is that of the stages.
    pub fn plugin(mut self, plugin: impl Plugin + 'static) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Who hears what happens to tasks; nobody by default.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// What decides whether there is room for another task; there always is by default.
    pub fn admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = admission;
        self
    }

    /// How many tasks run at a time; 1 by default.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How often to ask the queue whether a running task was cancelled; every 60 seconds by default.
    pub fn cancel_poll(mut self, interval: Duration) -> Self {
        self.cancel_poll = interval;
        self
    }

    /// Makes the worker.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] if the parts do not fit together.
    pub fn build(self) -> Result<Worker, BuildError> {
        if self.capacity == 0 {
            return Err(BuildError::NoCapacity);
        }
        let engine = std::iter::once(("engine", self.engine.payload_schema()));
        let plugins = self
            .plugins
            .iter()
            .filter_map(|plugin| Some((plugin.name(), plugin.payload_schema()?)));
        let schema = PayloadSchema::merge(engine.chain(plugins))?;
        let queue = self.deployment.connect(self.credentials).queue;
        let blueprint = Blueprint {
            deployment: self.deployment,
            environment: self.environment,
            engine: self.engine,
            plugins: self.plugins,
            schema,
            observer: self.observer,
            cancel_poll: self.cancel_poll,
        };
        Ok(Worker {
            blueprint: Arc::new(blueprint),
            queue,
            admission: self.admission,
            capacity: self.capacity,
        })
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("plugins", &self.plugins)
            .finish_non_exhaustive()
    }
}

/// A worker could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The payload schemas of engine and plugins do not fit together.
    #[error(transparent)]
    Schema(#[from] SchemaError),

    /// The capacity is 0.
    #[error("a worker of capacity 0 could run nothing; give it 1 or more")]
    NoCapacity,
}
