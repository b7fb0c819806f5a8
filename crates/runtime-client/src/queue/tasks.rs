//! Calls that create, cancel and repeat tasks.

use http::Method;
use runtime_core::queue::{TaskDefinition, TaskStatus};
use runtime_core::{ApiError, TaskId};

use crate::client::Client;
use crate::transport::call::{Call, path};

/// Creating, cancelling and repeating tasks, which tests and tools need.
impl Client {
    /// Creates a task.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that another task has this id.
    ///
    /// # Cancel safety
    ///
    /// The task may or may not have been created. The same request can be repeated.
    pub async fn create_task(
        &self,
        task_id: &TaskId,
        task: &TaskDefinition,
    ) -> Result<TaskStatus, ApiError> {
        let path = path("queue", ["task", task_id.as_str()]);
        self.call_for_status(Call::with_json(
            "queue.createTask",
            Method::PUT,
            path,
            task,
        )?)
        .await
    }

    /// Cancels a task. A task that is already resolved is not changed, which is not an error.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that its deadline has passed.
    ///
    /// # Cancel safety
    ///
    /// The task may or may not be cancelled. The same request can be repeated.
    pub async fn cancel_task(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError> {
        let path = path("queue", ["task", task_id.as_str(), "cancel"]);
        self.call_for_status(Call::new("queue.cancelTask", Method::POST, path))
            .await
    }

    /// Adds a run to a resolved task. A task that is not resolved is not changed, which is not an error.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that its deadline has passed.
    ///
    /// # Cancel safety
    ///
    /// The task may or may not have a new run. A repeated request adds another one only if that is resolved.
    pub async fn rerun_task(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError> {
        let path = path("queue", ["task", task_id.as_str(), "rerun"]);
        self.call_for_status(Call::new("queue.rerunTask", Method::POST, path))
            .await
    }
}
