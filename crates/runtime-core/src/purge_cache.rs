//! The port to the purge-cache service: which caches must go.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;

use crate::ApiError;

/// A wish that caches of a name be destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PurgeRequest {
    /// The name of the cache.
    pub cache_name: String,
    /// Caches that were made before must go.
    pub before: Timestamp,
}

impl PurgeRequest {
    /// Wishes that what was made before a moment be destroyed.
    pub fn new(cache_name: impl Into<String>, before: Timestamp) -> Self {
        Self {
            cache_name: cache_name.into(),
            before,
        }
    }
}

/// The purge-cache service, as a worker sees it.
#[async_trait]
pub trait PurgeCache: Send + Sync + fmt::Debug {
    /// Asks which caches of a worker pool must go, of the wishes made since a moment.
    ///
    /// The service answers from a memory of some seconds, so let `since` overlap the last successful
    /// query by minutes.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn purge_requests(
        &self,
        worker_pool_id: &str,
        since: Option<Timestamp>,
    ) -> Result<Vec<PurgeRequest>, ApiError>;
}
