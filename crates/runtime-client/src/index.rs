//! The index over HTTP.

use async_trait::async_trait;
use http::Method;
use jiff::Timestamp;
use runtime_core::index::{Index, IndexedTask};
use runtime_core::{ApiError, TaskId};
use serde_json::{Value, json};

use crate::client::Client;
use crate::transport::call::{Call, path};

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
    /// Inserts a task at a namespace, unless the task there has a higher rank. Returns the resulting entry.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// The entry may or may not be inserted. The same request can be repeated.
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
