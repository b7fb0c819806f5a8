//! Preemption of instances on Google Cloud.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method};
use runtime_core::{ShutdownNotice, ShutdownSource};

use super::metadata::Metadata;
use super::polled::{Oracle, Polled};
use crate::ClientError;

const PREEMPTED: &str = "/computeMetadata/v1/instance/preempted";

/// For how long the service may hold a request, and how long we wait for it.
const HOLD: u64 = 60;
const TIMEOUT: Duration = Duration::from_secs(HOLD + 15);

/// What Google promises.
const PROMISED: Duration = Duration::from_secs(30);

/// Hears that Google preempts the instance, 30 seconds before it is stopped.
#[derive(Debug)]
pub struct GcpPreemption {
    polled: Polled<Instance>,
}

#[derive(Debug)]
struct Instance {
    metadata: Metadata,
}

impl GcpPreemption {
    /// Asks the metadata service of this instance.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if there can be no HTTP client.
    pub fn new() -> Result<Self, ClientError> {
        let metadata = Metadata::new("http://metadata.google.internal")?;
        Ok(Self {
            polled: Polled::new(Instance { metadata }, Duration::from_secs(1)),
        })
    }

    /// Asks elsewhere, such as at `http://169.254.169.254`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.polled.oracle.metadata.set_endpoint(endpoint);
        self
    }

    /// How long to wait before asking again after an answer, or none, that says nothing. The service
    /// itself holds the requests for as long as there is nothing to say. Default: 1 s.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.polled.interval = pause;
        self
    }
}

#[async_trait]
impl Oracle for Instance {
    async fn ask(&mut self) -> Option<ShutdownNotice> {
        // A change that came before a request that waits would never be told by it.
        let preempted = self.is_preempted(false).await || self.is_preempted(true).await;
        preempted.then(|| ShutdownNotice::now("Google preempts the instance").within(PROMISED))
    }
}

impl Instance {
    /// Asks once; with `wait`, the answer comes when it changes.
    async fn is_preempted(&self, wait: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("metadata-flavor", HeaderValue::from_static("Google"));
        let path = match wait {
            true => format!("{PREEMPTED}?wait_for_change=true&timeout_sec={HOLD}"),
            false => PREEMPTED.to_owned(),
        };
        let answer = self
            .metadata
            .ask(Method::GET, &path, headers, TIMEOUT)
            .await;
        answer.is_some_and(|(status, text)| status.is_success() && text.trim() == "TRUE")
    }
}

#[async_trait]
impl ShutdownSource for GcpPreemption {
    fn name(&self) -> &'static str {
        "gcp-preemption"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.polled.next().await
    }
}
