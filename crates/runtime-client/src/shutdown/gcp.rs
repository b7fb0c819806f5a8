//! Preemption of instances on Google Cloud.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use runtime_core::ShutdownNotice;

use super::metadata_source::{CloudShutdown, MetadataShutdownSource};
use crate::metadata_service::MetadataService;

const PREEMPTED_PATH: &str = "/computeMetadata/v1/instance/preempted";

/// The time for which the service holds a request while the value does not change.
const HOLD_SECONDS: u64 = 60;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(HOLD_SECONDS + 15);

/// The notice period that Google promises.
const NOTICE_PERIOD: Duration = Duration::from_secs(30);

/// Reports that Google preempts the instance, 30 seconds before it is stopped.
pub type GcpPreemption = MetadataShutdownSource<Gcp>;

/// The metadata service of Google Cloud.
#[derive(Debug, Default)]
pub struct Gcp;

#[async_trait]
impl CloudShutdown for Gcp {
    const NAME: &'static str = "gcp-preemption";
    const ENDPOINT: &'static str = "http://metadata.google.internal";
    /// Short, since the service holds requests itself.
    const INTERVAL: Duration = Duration::from_secs(1);

    async fn poll(&mut self, service: &MetadataService) -> Option<ShutdownNotice> {
        // A held request reports only changes that happen while it is held, so the current value is requested first.
        let is_preempted = is_preempted(service, false).await || is_preempted(service, true).await;
        is_preempted
            .then(|| ShutdownNotice::now("Google preempts the instance").within(NOTICE_PERIOD))
    }
}

/// Requests the value once. With `wait`, the service responds when it changes.
async fn is_preempted(service: &MetadataService, wait: bool) -> bool {
    // The service refuses requests without this header.
    let flavor = HeaderName::from_static("metadata-flavor");
    let headers = HeaderMap::from_iter([(flavor, HeaderValue::from_static("Google"))]);
    let path = if wait {
        format!("{PREEMPTED_PATH}?wait_for_change=true&timeout_sec={HOLD_SECONDS}")
    } else {
        PREEMPTED_PATH.to_owned()
    };
    service
        .request(Method::GET, &path, headers, REQUEST_TIMEOUT)
        .await
        .is_some_and(|(status, text)| status.is_success() && text.trim() == "TRUE")
}
