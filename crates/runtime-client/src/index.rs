//! The index over HTTP.

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use runtime_core::index::{Index, IndexedTask};
use runtime_core::{ApiError, TaskId};
use serde_json::{Value, json};

use crate::Client;
use crate::transport::{Call, path};

#[async_trait]
impl Index for Client {
    async fn find_task(&self, namespace: &str) -> Result<IndexedTask, ApiError> {
        self.call(Call::get(
            "index.findTask",
            path("index", ["task", namespace]),
        ))
        .await
    }
}

/// Writing to the index.
impl Client {
    /// Puts a task under a namespace, unless the task there has a higher rank; returns the entry that stands.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The entry may or may not be there. The same request can be sent again.
    pub async fn insert_task(
        &self,
        namespace: &str,
        task_id: &TaskId,
        rank: f64,
        data: &Value,
        expires: Timestamp,
    ) -> Result<IndexedTask, ApiError> {
        let path = path("index", ["task", namespace]);
        let body = json!({ "taskId": task_id, "rank": rank, "data": data, "expires": expires });
        self.call(Call::with_json(
            "index.insertTask",
            Method::PUT,
            path,
            &body,
        )?)
        .await
    }
}
