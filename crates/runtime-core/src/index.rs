//! The port to the index service, which maps namespaces to tasks.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;

use crate::api_error::ApiError;
use crate::clock::deserialize_timestamp;
use crate::id::TaskId;

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexedTask {
    /// The namespace, separated by dots.
    pub namespace: String,
    /// The task.
    pub task_id: TaskId,
    /// The expiry of the entry.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub expires: Timestamp,
}

/// The part of the index service that a fetcher uses.
#[async_trait]
pub trait Index: Send + Sync + fmt::Debug {
    /// Returns the task indexed under `namespace`.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_not_found`](ApiError::is_not_found) if the namespace is unknown.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn find_task(&self, namespace: &str) -> Result<IndexedTask, ApiError>;
}
