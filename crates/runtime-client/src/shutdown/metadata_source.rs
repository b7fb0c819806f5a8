//! A shutdown source that polls the metadata service of a cloud.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource};

use crate::client_error::ClientError;
use crate::metadata_service::MetadataService;

/// A cloud that announces the shutdown of a machine in its metadata service.
#[async_trait]
pub trait CloudShutdown: Default + Send + fmt::Debug {
    /// The name of the shutdown source.
    const NAME: &'static str;
    /// The default endpoint of the metadata service.
    const ENDPOINT: &'static str;
    /// The default time between two requests.
    const INTERVAL: Duration;

    /// Returns the notice of the metadata service, or `None` if there is none or the service is unreachable.
    ///
    /// # Cancel safety
    ///
    /// Safe: a notice that was not returned is found again by the next call.
    async fn poll(&mut self, service: &MetadataService) -> Option<ShutdownNotice>;
}

/// A shutdown source that polls the metadata service of a cloud: [`AwsSpot`](super::AwsSpot),
/// [`GcpPreemption`](super::GcpPreemption) or [`AzureEvents`](super::AzureEvents).
#[derive(Debug)]
pub struct MetadataShutdownSource<C> {
    pub(super) cloud: C,
    service: MetadataService,
    interval: Duration,
    has_notified: bool,
}

impl<C: CloudShutdown> MetadataShutdownSource<C> {
    /// Creates a source that polls the metadata service of this machine at the interval that the cloud recommends.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the HTTP client cannot be set up.
    pub fn new() -> Result<Self, ClientError> {
        Ok(Self {
            cloud: C::default(),
            service: MetadataService::new(C::ENDPOINT)?,
            interval: C::INTERVAL,
            has_notified: false,
        })
    }

    /// Sets the endpoint of the metadata service, for example its IPv6 address.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.service.set_endpoint(endpoint);
        self
    }

    /// Sets the time between two requests.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }
}

#[async_trait]
impl<C: CloudShutdown> ShutdownSource for MetadataShutdownSource<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        while !self.has_notified {
            if let Some(notice) = self.cloud.poll(&self.service).await {
                self.has_notified = true;
                return Some(notice);
            }
            tokio::time::sleep(self.interval).await;
        }
        None
    }
}
