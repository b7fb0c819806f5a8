//! The port to the purge-cache service.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;

use crate::api_error::ApiError;
use crate::clock::deserialize_timestamp;

/// A request to purge all caches with a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PurgeRequest {
    /// The name of the cache.
    pub cache_name: String,
    /// The time of the request: only caches created before it are purged.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub before: Timestamp,
}

impl PurgeRequest {
    /// Creates a request to purge caches created before `before`.
    pub fn new(cache_name: impl Into<String>, before: Timestamp) -> Self {
        Self {
            cache_name: cache_name.into(),
            before,
        }
    }
}

/// The part of the purge-cache service that a worker uses.
#[async_trait]
pub trait PurgeCache: Send + Sync + fmt::Debug {
    /// Returns the purge requests for a worker pool; with `since`, only later ones.
    ///
    /// The service caches its responses for some seconds. To miss no request, pass a `since` some minutes before the
    /// latest request of the previous successful call. Do not pass a time of the local clock: if that clock is fast,
    /// requests are missed.
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
