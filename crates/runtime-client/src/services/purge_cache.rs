//! The purge-cache service.

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::ApiError;
use runtime_core::purge_cache::{PurgeCache, PurgeRequest};
use serde::Deserialize;

use crate::client::Client;
use crate::transport::call::{Call, path};

#[async_trait]
impl PurgeCache for Client {
    async fn purge_requests(
        &self,
        worker_pool_id: &str,
        since: Option<Timestamp>,
    ) -> Result<Vec<PurgeRequest>, ApiError> {
        let since = since.map(|since| since.to_string());
        let path = path("purge-cache", ["purge-cache", worker_pool_id]);
        let call =
            Call::get("purgeCache.purgeRequests", path).query(&[("since", since.as_deref())]);
        let response: PurgeRequestsResponse = self.call(call).await?;
        Ok(response.requests)
    }
}

#[derive(Deserialize)]
struct PurgeRequestsResponse {
    requests: Vec<PurgeRequest>,
}
