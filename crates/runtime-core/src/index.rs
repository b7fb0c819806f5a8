//! The port to the index: names for tasks.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{ApiError, TaskId};

/// What the index knows under a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexedTask {
    /// The namespace, with dots.
    pub namespace: String,
    /// The task.
    pub task_id: TaskId,
    /// When the entry is forgotten.
    pub expires: Timestamp,
}

/// The index, as a fetcher sees it.
#[async_trait]
pub trait Index: Send + Sync + fmt::Debug {
    /// Finds the task that stands under `namespace` now.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_not_found`](ApiError::is_not_found) if there is none.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn find_task(&self, namespace: &str) -> Result<IndexedTask, ApiError>;
}
