//! What those who make tasks ask of the queue.

use http::Method;
use runtime_core::queue::{TaskDefinition, TaskStatus};
use runtime_core::{ApiError, TaskId};

use crate::Client;
use crate::transport::{Call, path};

/// Making and ending tasks, which no worker needs and every test of one does.
impl Client {
    /// Creates a task.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that the id is taken by a task that differs.
    ///
    /// # Cancel safety
    ///
    /// The task may or may not exist. The same request can be sent again.
    pub async fn create_task(
        &self,
        task_id: &TaskId,
        task: &TaskDefinition,
    ) -> Result<TaskStatus, ApiError> {
        let path = path("queue", ["task", task_id.as_str()]);
        self.status_of(Call::with_json(
            "queue.createTask",
            Method::PUT,
            path,
            task,
        )?)
        .await
    }

    /// Cancels a task; one that is already resolved stays as it is, without an error.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; a conflict means that its deadline has passed.
    ///
    /// # Cancel safety
    ///
    /// The task may or may not be cancelled. The same request can be sent again.
    pub async fn cancel_task(&self, task_id: &TaskId) -> Result<TaskStatus, ApiError> {
        let path = path("queue", ["task", task_id.as_str(), "cancel"]);
        self.status_of(Call::new("queue.cancelTask", Method::POST, path))
            .await
    }
}
