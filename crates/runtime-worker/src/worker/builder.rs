//! Puts a worker together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::log::OutputLimit;
use runtime_core::{CredentialsWatch, Deployment, Environment};

use super::health::Health;
use super::intake::Intake;
use super::{Admission, Blueprint, Timing, Worker};
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
    admissions: Vec<Arc<dyn Admission>>,
    capacity: usize,
    timing: Timing,
    max_consecutive_internal_errors: Option<u32>,
    output_limit: OutputLimit,
}

/// How much output of a task is kept, and how much of that for its end, unless the worker is told otherwise.
pub(crate) const OUTPUT: u64 = 1 << 30;
pub(crate) const OUTPUT_END: usize = 1 << 20;

/// How many internal errors in a row a worker takes before it stops, unless it is told otherwise.
pub(crate) const INTERNAL_ERRORS: u32 = 5;

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
            admissions: Vec::new(),
            capacity: 1,
            timing: Timing::default(),
            max_consecutive_internal_errors: Some(INTERNAL_ERRORS),
            output_limit: OutputLimit::new(OUTPUT, OUTPUT_END),
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

    /// Adds what decides whether there is room for another task; all must agree. There always is by default.
    pub fn admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admissions.push(admission);
        self
    }

    /// How many tasks run at a time; 1 by default.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How often to ask the queue whether a running task was cancelled; every 60 seconds by default.
    pub fn cancel_poll(mut self, interval: Duration) -> Self {
        self.timing.cancel_poll = interval;
        self
    }

    /// All intervals and limits of time.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// After how many internal errors in a row the worker [stops gracefully](Environment::worker); 5 by
    /// default, `None` for never.
    pub fn max_consecutive_internal_errors(mut self, most: Option<u32>) -> Self {
        self.max_consecutive_internal_errors = most;
        self
    }

    /// How much output of each task goes to its log; 1 GiB by default, of which the last MiB is for the end
    /// of the output. What is dropped in the middle is told there, and the worker's own lines always pass.
    pub fn output_limit(mut self, limit: OutputLimit) -> Self {
        self.output_limit = limit;
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
        let queue = self.deployment.connect(self.credentials.clone()).queue;
        let blueprint = Blueprint {
            deployment: self.deployment,
            queue,
            environment: self.environment,
            engine: self.engine,
            plugins: self.plugins,
            schema,
            observer: self.observer,
            timing: self.timing,
            health: Health::new(self.max_consecutive_internal_errors),
            output_limit: self.output_limit,
        };
        Ok(Worker {
            blueprint: Arc::new(blueprint),
            intake: Intake {
                credentials: self.credentials,
                admissions: self.admissions,
                refusal: Mutex::default(),
            },
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
