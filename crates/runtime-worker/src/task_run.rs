//! What engine and plugins get for one task.

use std::sync::Arc;

use runtime_core::{Environment, MalformedPayloadError, Monitor, TaskContext, TaskError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::TaskRecord;

/// One task that this worker runs, as engine and plugins see it. A clone is cheap.
#[derive(Clone, Debug)]
pub struct TaskRun {
    /// The task: its log, its scopes, its queue, its stop signal.
    pub context: TaskContext,
    /// The surroundings, with a monitor that carries the task as tags.
    pub environment: Environment,
    /// What is told about the task when it is resolved.
    pub record: Arc<TaskRecord>,
}

impl TaskRun {
    /// The payload, which fits the schema.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.context.info().definition.payload
    }

    /// The part of the payload that `T` describes.
    ///
    /// # Errors
    ///
    /// [`TaskError::MalformedPayload`] if it does not fit, which tells that `T` and the schema differ.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, TaskError> {
        T::deserialize(self.payload())
            .map_err(|error| MalformedPayloadError::new(format!("payload: {error}")).into())
    }

    /// The monitor, tagged with the task.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.environment.monitor
    }
}
