//! Builds a worker from an engine, plugins and settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::log::OutputLimit;
use runtime_core::{CredentialsWatch, Deployment, Environment};

use super::claim_failures::ClaimFailures;
use super::claim_loop::Worker;
use super::claim_poller::ClaimPoller;
use crate::admission::Admission;
use crate::blocking_gate::BlockingGate;
use crate::engine::{Capability, Engine};
use crate::error_limit::ConsecutiveErrorLimit;
use crate::observer::{NoObserver, Observer};
use crate::payload::{PayloadSchema, SchemaError};
use crate::plugin::Plugin;
use crate::shared::WorkerShared;
use crate::timing::Timing;

/// Default size of a task's output in its log, in bytes.
pub(crate) const DEFAULT_OUTPUT_LIMIT: u64 = 1 << 30;

/// Part of the output limit that is reserved for the end of the output, in bytes.
pub(crate) const MAX_OUTPUT_TAIL: usize = 1 << 20;

/// Default number of consecutive internal errors after which a worker stops.
pub(crate) const DEFAULT_MAX_CONSECUTIVE_INTERNAL_ERRORS: u32 = 5;

/// Builds a [`Worker`].
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
    max_tasks: Option<u64>,
    timing: Timing,
    max_consecutive_internal_errors: Option<u32>,
    output_limit: OutputLimit,
}

impl Worker {
    /// Creates a builder with default settings and without plugins.
    pub fn builder(
        deployment: Arc<dyn Deployment>,
        environment: Environment,
        engine: Arc<dyn Engine>,
    ) -> WorkerBuilder {
        WorkerBuilder {
            deployment,
            credentials: CredentialsWatch::fixed(None),
            environment,
            engine,
            plugins: Vec::new(),
            observer: Arc::new(NoObserver),
            admissions: Vec::new(),
            capacity: 1,
            max_tasks: None,
            timing: Timing::default(),
            max_consecutive_internal_errors: Some(DEFAULT_MAX_CONSECUTIVE_INTERNAL_ERRORS),
            output_limit: OutputLimit::new(DEFAULT_OUTPUT_LIMIT, MAX_OUTPUT_TAIL),
        }
    }
}

impl WorkerBuilder {
    /// Sets the credentials with which the worker claims. Default: none.
    pub fn credentials(mut self, credentials: impl Into<CredentialsWatch>) -> Self {
        self.credentials = credentials.into();
        self
    }

    /// Adds a plugin.
    ///
    /// [`prepare`](crate::TaskPlugin::prepare) runs for all plugins at once; every other stage calls them in the order
    /// in which they were added.
    pub fn plugin(mut self, plugin: impl Plugin + 'static) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Sets the observer that receives the events of all tasks. Default: none.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Adds an admission. The worker claims only while all admissions allow it. Default: none, which allows all claims.
    pub fn admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admissions.push(admission);
        self
    }

    /// Sets the number of tasks that run concurrently. Default: 1.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets the number of runs that the worker claims, or `None` for no limit. When all of them are resolved, the worker
    /// stops gracefully. Default: none.
    ///
    /// A run counts when it is claimed, whatever its resolution is.
    pub fn max_tasks(mut self, limit: Option<u64>) -> Self {
        self.max_tasks = limit;
        self
    }

    /// Sets the interval at which the worker asks the queue whether a running task was cancelled. Default: 9 s.
    pub fn cancel_poll_interval(mut self, interval: Duration) -> Self {
        self.timing.cancel_poll_interval = interval;
        self
    }

    /// Sets all intervals and timeouts.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Sets the number of consecutive internal errors after which the worker [stops gracefully](Environment::stop),
    /// or `None` for no limit. Default: 5.
    pub fn max_consecutive_internal_errors(mut self, limit: Option<u32>) -> Self {
        self.max_consecutive_internal_errors = limit;
        self
    }

    /// Sets the size of a task's output in its log. Default: 1 GiB, with the last MiB reserved for the end of the output.
    ///
    /// A notice in the log replaces the omitted middle. Lines of the worker itself do not count.
    pub fn output_limit(mut self, limit: OutputLimit) -> Self {
        self.output_limit = limit;
        self
    }

    /// Builds the worker.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] if the capacity is 0, the payload schemas conflict, or the engine lacks a capability that a plugin
    /// requires.
    pub fn build(self) -> Result<Worker, BuildError> {
        if self.capacity == 0 {
            return Err(BuildError::NoCapacity);
        }
        self.check_capabilities()?;
        let engine = std::iter::once(("engine", self.engine.payload_schema()));
        let plugins = self
            .plugins
            .iter()
            .filter_map(|plugin| Some((plugin.name(), plugin.payload_schema()?)));
        let schema = PayloadSchema::merge(engine.chain(plugins))?;
        let queue = self.deployment.connect(self.credentials.clone()).queue;
        let shared = WorkerShared {
            deployment: self.deployment,
            queue,
            environment: self.environment,
            engine: self.engine,
            plugins: self.plugins,
            schema,
            observer: self.observer,
            timing: self.timing,
            error_limit: ConsecutiveErrorLimit::new(self.max_consecutive_internal_errors),
            output_limit: self.output_limit,
            threads: BlockingGate::default(),
        };
        Ok(Worker {
            shared: Arc::new(shared),
            poller: ClaimPoller {
                credentials: self.credentials,
                admissions: self.admissions,
                refusal: Mutex::default(),
                unanswered_since: Mutex::default(),
                failures: ClaimFailures::default(),
            },
            capacity: self.capacity,
            max_tasks: self.max_tasks,
        })
    }

    /// Without this check, each task would fail, and its author would be told to change the payload.
    fn check_capabilities(&self) -> Result<(), BuildError> {
        let capabilities = self.engine.capabilities();
        for plugin in &self.plugins {
            let mut required = plugin.requires().iter();
            if let Some(&capability) = required.find(|it| !capabilities.contains(it)) {
                let plugin = plugin.name();
                return Err(BuildError::Unsupported { plugin, capability });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("plugins", &self.plugins)
            .finish_non_exhaustive()
    }
}

/// The reason why a worker could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The payload schemas of engine and plugins conflict.
    #[error(transparent)]
    Schema(#[from] SchemaError),

    /// A plugin requires a capability that the engine does not have.
    #[error(
        "the plugin `{plugin}` requires an engine that supports {capability}; remove the plugin, or use another engine"
    )]
    Unsupported {
        /// The name of the plugin.
        plugin: &'static str,
        /// The missing capability.
        capability: Capability,
    },

    /// The capacity is 0.
    #[error("invalid capacity 0: a worker needs a capacity of at least 1")]
    NoCapacity,
}
