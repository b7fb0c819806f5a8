//! The purge-cache service: which caches must go.

use jiff::Timestamp;
use runtime_core::ApiError;
use serde::Deserialize;

use crate::Client;
use crate::transport::{Call, path};

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

/// The purge-cache service.
impl Client {
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
    pub async fn purge_requests(
        &self,
        worker_pool_id: &str,
        since: Option<Timestamp>,
    ) -> Result<Vec<PurgeRequest>, ApiError> {
        let since = since.map(|since| since.to_string());
        let path = path("purge-cache", ["purge-cache", worker_pool_id]);
        let call =
            Call::get("purgeCache.purgeRequests", path).query(&[("since", since.as_deref())]);
        let answer: Answer = self.call(call).await?;
        Ok(answer.requests)
    }
}

#[derive(Deserialize)]
struct Answer {
    requests: Vec<PurgeRequest>,
}
