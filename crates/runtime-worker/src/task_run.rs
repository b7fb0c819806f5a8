//! The view of a running task that engine and plugins share.

use std::sync::Arc;

use runtime_core::{Environment, MalformedPayloadError, Monitor, TaskContext, TaskError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::report::TaskReportBuilder;

/// One run of a task, as engine and plugins see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TaskRun {
    /// The task's log, scopes, queue and stop signal.
    pub context: TaskContext,
    /// The worker's environment. Its monitor has tags for the task, and the name of the engine or plugin as prefix.
    pub environment: Environment,
    /// The report that is sent to observers when the run is resolved.
    pub report: Arc<TaskReportBuilder>,
}

impl TaskRun {
    /// Creates a run with an empty report. The worker does this for each claim; tests of plugins do it themselves.
    #[must_use]
    pub fn new(context: TaskContext, environment: Environment) -> Self {
        let info = context.info();
        let name = info.definition.metadata.name.clone();
        let report = Arc::new(TaskReportBuilder::new(info.run.clone(), name));
        Self {
            context,
            environment,
            report,
        }
    }

    /// Returns the payload, which the worker has checked against the schema.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.context.info().definition.payload
    }

    /// Deserializes the part of the payload that `T` describes.
    ///
    /// # Errors
    ///
    /// [`TaskError::MalformedPayload`] if the payload does not fit `T`, which means that `T` and the schema
    /// disagree.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, TaskError> {
        T::deserialize(self.payload())
            .map_err(|error| MalformedPayloadError::new(format!("payload: {error}")).into())
    }

    /// Returns the same run with `prefix` appended to the prefix of its monitor.
    ///
    /// The worker does this with the name of each engine and plugin. A plugin that delegates to others does it for them.
    #[must_use]
    pub fn with_prefix(&self, prefix: &'static str) -> Self {
        let mut run = self.clone();
        run.environment.monitor = self.monitor().with_prefix(prefix);
        run
    }

    /// Returns the monitor, with tags for the task and the name of the engine or plugin as prefix.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.environment.monitor
    }
}
